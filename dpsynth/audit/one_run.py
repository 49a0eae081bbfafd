"""Audits from a single run: many canaries, each in or out by a coin, guessed from one release.

A smoke test. It is cheap, since one fit serves all canaries, and weak, since what the canaries
share and how well they are guessed bound it far below the claim even where the claim is tight. It
is no certificate, whatever it finds; where it contradicts a claim, the claim is false.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.noise import ResearchNoise

if TYPE_CHECKING:
    from dpsynth.generators.base import Generator

_SAMPLED = 100
LABEL = "smoke test from one run, not a certificate"


@final
@dataclass(frozen=True, kw_only=True)
class OneRunAudit:
    """Lower bounds from one run.

    Args:
        canaries: how many were in or out by a fair coin.
        guesses: how many were guessed.
        correct: how many of these rightly.
        delta: at which epsilon is bounded.
        epsilon_lower: by Steinke et al. 2023; valid with confidence 1 - alpha.
        mu_lower: by the f-DP recursion, for Gaussian trade-off functions; likewise.
        epsilon_largest_measurable: had all guesses been right.
        alpha: probability of each bound to fail.
        label: what this is.
    """

    canaries: int
    guesses: int
    correct: int
    delta: float
    epsilon_lower: float
    mu_lower: float
    epsilon_largest_measurable: float
    alpha: float
    label: str = LABEL


def audit_one_run(
    scores: NDArray[np.float64],
    included: NDArray[np.bool_],
    *,
    guesses: int,
    delta: float,
    alpha: float = 0.05,
) -> OneRunAudit:
    """Return bounds from the canaries' scores in one run.

    Half of the guesses go to the canaries of highest score, as included, and half to the lowest.

    Args:
        scores: one a canary, from the release alone; high speaks for inclusion.
        included: which were, each by a fair coin of its own.
        guesses: how many canaries to guess, fixed before looking; even, at least 2.
        delta: of the claim.
        alpha: probability of each bound to fail.

    Raises:
        InvalidValueError: guesses out of range, shapes that differ, delta or alpha out of range.

    Reference: Steinke, Nasr & Jagielski 2023, Theorem 5.2 and Algorithm 1; Mahloujifar, Melis &
        Chaudhuri 2024, Theorem 9 (f-DP).
    """
    canaries = len(scores)
    if included.shape != scores.shape:
        raise InvalidValueError("included", included.shape, "as many coins as canaries")
    if guesses % 2 or not 2 <= guesses <= canaries:
        raise InvalidValueError("guesses", guesses, f"even, from 2 to the {canaries} canaries")
    if not 0 <= delta < 1:
        raise InvalidValueError("delta", delta, "from 0 and below 1")
    if not 0 < alpha < 1:
        raise InvalidValueError("alpha", alpha, "between 0 and 1")
    order, half = np.argsort(scores, kind="stable"), guesses // 2
    correct = int(included[order[canaries - half :]].sum() + (~included[order[:half]]).sum())
    bounds = {"canaries": canaries, "guesses": guesses, "delta": delta, "alpha": alpha}
    return OneRunAudit(
        **bounds,  # pyright: ignore[reportArgumentType] - integers and floats by name
        correct=correct,
        epsilon_lower=_largest(
            lambda epsilon: _chance(canaries, guesses, correct, epsilon, delta) <= alpha
        ),
        mu_lower=_largest(lambda mu: _contradicts(canaries, guesses, correct, mu, alpha)),
        epsilon_largest_measurable=_largest(
            lambda epsilon: _chance(canaries, guesses, guesses, epsilon, delta) <= alpha
        ),
    )


def smoke_test(
    generator: "Generator",
    budget: Budget,
    *,
    canaries: int = 1000,
    guesses: int = 200,
    alpha: float = 0.05,
    accountant: str | None = None,
    rng: np.random.Generator,
) -> OneRunAudit:
    """Return the one-run audit of a generator, on a table in which each canary is alone.

    One column has a category for each canary, whose record is there or not; the score is how often
    the category comes in a large sample of the model.

    Args:
        generator: what is audited.
        budget: the claim.
        canaries: how many, at least 2.
        guesses: how many of them to guess.
        alpha: probability of each bound to fail.
        accountant: the generator's own by default.
        rng: source of all randomness.

    Raises:
        InvalidValueError: as of `audit_one_run`; a claim about records that are replaced, of which
            a canary that is there or not is no neighbour.
        PrivacyError: the generator cannot be fitted under this budget.
    """
    import pandas as pd

    if canaries < 2:
        raise InvalidValueError("canaries", canaries, "at least 2")
    if budget.relation is not Neighbouring.ADD_REMOVE:
        rule = "'add_remove' for an audit of one run, whose canaries are there or not"
        raise InvalidValueError("relation", str(budget.relation), rule)
    names = tuple(f"c{i:06d}" for i in range(canaries))
    schema = Schema(columns=(CategoricalColumn(name="canary", categories=names),))
    included = rng.random(canaries) < 0.5
    included[int(rng.integers(canaries))] |= not included.any()  # a table has a record
    frame = pd.DataFrame({"canary": np.array(names)[included]})
    private = PrivateData(
        Table(schema=schema, frame=frame),
        budget,
        noise=ResearchNoise(rng=rng),
        accountant=accountant or generator.accountant,
    )
    model = generator.fit(private, rng=rng.spawn(1)[0])
    codes = model.sample_codes(_SAMPLED * canaries, rng=rng.spawn(1)[0])
    scores = np.bincount(codes[:, 0], minlength=canaries).astype(np.float64)
    scores += rng.random(canaries) * 0.5  # ties are broken by a coin, not by the order
    return audit_one_run(scores, included, guesses=guesses, delta=budget.delta, alpha=alpha)


def _largest(contradicted: Callable[[float], bool]) -> float:
    """Return the largest parameter, to 1e-3, that is contradicted; 0 where none is."""
    low, high = 0.0, 20.0
    if not contradicted(low):
        return 0.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if contradicted(middle) else (low, middle)
    return low


def _chance(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Return a bound on the chance of so many right guesses under (epsilon, delta)-DP.

    The number of right guesses is dominated by a binomial of success e^epsilon / (1 + e^epsilon),
    but for an addition of mean 2 * canaries * delta, spread where it does most harm.
    """
    from scipy.special import expit
    from scipy.stats import binom

    rate = float(expit(epsilon))
    beta = float(binom.sf(correct - 1, guesses, rate))
    steps = np.arange(1, correct + 1)
    between = np.cumsum(binom.pmf(correct - steps, guesses, rate))
    worst = float(np.max(between / steps, initial=0.0))
    return min(beta + 2.0 * canaries * delta * worst, 1.0)


def _contradicts(canaries: int, guesses: int, correct: int, mu: float, alpha: float) -> bool:
    """Return whether so many right guesses contradict mu-GDP at level alpha.

    With c guesses of m canaries, the recursion runs from c' = `correct` right ones down to none; r
    and h are the masses of runs with at least i right guesses that it must have, weighted by i and
    c - i over m. If they outgrow c / m, fewer than alpha of all runs have so many.
    """
    from scipy.special import ndtr, ndtri

    if correct == 0:
        return False
    right, wrong = alpha * correct / canaries, alpha * (guesses - correct) / canaries
    for i in range(correct - 1, -1, -1):
        needed = float(ndtr(ndtri(min(right, 1.0)) - mu))
        step = max(needed - wrong, 0.0)
        wrong += step
        right += i / (guesses - i) * step
        if right + wrong > guesses / canaries:
            return True
    return False
