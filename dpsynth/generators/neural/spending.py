"""How a neural generator's budget is cut: answers to start from, then DP-SGD, in one plan."""

from collections.abc import Sequence
from math import fsum, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.sgd import SgdPlan
from dpsynth.generators.base import Generator
from dpsynth.generators.graphical import fitted, total_of
from dpsynth.generators.marginal.one_ways import measure_one_ways
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.privacy.calibration import dpsgd_noise_multiplier, gdp_mu
from dpsynth.privacy.events import Event, GdpEvent

# Least share of records that a code is given as a start: its logit stays finite.
_LEAST_SHARE = 1e-4
_ONE_WAYS = "one-way marginals"


def mu_for(private: PrivateData, share: float) -> float:
    """Return the mu of a part of the budget.

    With mu the whole budget as Gaussian noise, and mu_a what a plan begins with (`Ledger.ahead`),
    that is sqrt(share (mu^2 - mu_a^2)).

    Args:
        private: its budget is cut.
        share: part of the mu^2 that is left of all that the budget is worth as Gaussian noise.
    """
    ledger = private.ledger
    whole = gdp_mu(private.budget.epsilon, ledger.accountant.delta)
    ahead = fsum((part.mu / whole) ** 2 for _, part in ledger.ahead)
    return whole * sqrt(share * max(0.0, 1.0 - ahead))


def planned(
    private: PrivateData,
    before: Sequence[tuple[str, Event]],
    *,
    sample_rate: float,
    steps: int,
    clipping_norm: float,
    label: str = "dpsgd",
    after: Sequence[tuple[str, Event]] = (),
) -> SgdPlan:
    """Reserve `before`, DP-SGD with the least noise that the budget allows, and `after`.

    Args:
        private: an accountant of plans is behind it, with nothing reserved yet.
        before: labels and events of what will be charged first.
        sample_rate, steps, clipping_norm: as of `SgdPlan`.
        label: what the training will be called in the ledger.
        after: as `before`, of what follows it.

    Raises:
        InvalidValueError: these alone exceed the budget, or a value outside its range.
        PrivacyError: the accountant takes no plans, or the records allow no DP-SGD.
    """
    budget = private.budget
    plan = SgdPlan(
        sample_rate=sample_rate,
        steps=steps,
        clipping_norm=clipping_norm,
        noise_multiplier=dpsgd_noise_multiplier(
            budget.epsilon,
            budget.delta,
            sample_rate=sample_rate,
            steps=steps,
            relation=budget.relation,
            also=[event for _, event in (*private.ledger.ahead, *before, *after)],
            accountant=private.ledger.accountant.name,
            set_aside=private.ledger.accountant.set_aside,
        ),
    )
    private.reserve([*before, (label, plan.event), *after])
    return plan


def start_of(
    private: PrivateData, generator: Generator, *, after: Sequence[tuple[str, Event]] = ()
) -> tuple[float, NDArray[np.float64], SgdPlan]:
    """Reserve a part for noisy one-way marginals and then DP-SGD, and spend the former.

    What the plan says of the marginals is their mu alone, so that it does not depend on how many
    columns have something to tell: that may be an answer.

    Args:
        private: as of `planned`; errors too.
        generator: has the fields `one_way_share`, part of the budget's mu^2 for the marginals,
            `sample_rate`, `steps` and `clipping_norm`.
        after: labels and events of what will be charged after the training.

    Returns:
        The number of records, public or bought; the laws that the marginals tell (`one_way_laws`);
        and the plan of the training, which is reserved.
    """
    hyper: Any = generator
    part = GdpEvent(mu=mu_for(private, hyper.one_way_share))
    plan = planned(
        private,
        [(_ONE_WAYS, part)],
        sample_rate=hyper.sample_rate,
        steps=hyper.steps,
        clipping_norm=hyper.clipping_norm,
        after=after,
    )
    bought = private.allot(part, label=_ONE_WAYS)
    measured = measure_one_ways(bought, amount=bought.remaining)
    return total_of(private, measured), one_way_laws(private, measured), plan


def one_way_laws(private: PrivateData, measured: Sequence[NoisyMarginal]) -> NDArray[np.float64]:
    """Return each attribute's estimated law, all side by side; no code below the least share.

    Args:
        private: for its public facts.
        measured: what was bought, one-way marginals among it.
    """
    columns = fitted(private, measured)
    laws = [columns.marginal((a,)) / columns.total for a in private.domain.attributes]
    raised = [np.maximum(law, _LEAST_SHARE) for law in laws]
    return np.concatenate([law / law.sum() for law in raised])


def check_sgd(generator: Generator) -> None:
    """Refuse hyperparameters of DP-SGD out of their ranges, before there is a plan.

    Args:
        generator: has the fields `sample_rate`, `steps` and `clipping_norm`.

    Raises:
        InvalidValueError: the first one outside.
    """
    hyper: Any = generator
    SgdPlan(
        sample_rate=hyper.sample_rate,
        steps=hyper.steps,
        clipping_norm=hyper.clipping_norm,
        noise_multiplier=1.0,
    )
