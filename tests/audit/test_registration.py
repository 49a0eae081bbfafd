"""What an audit will look at is fixed, hashed and announced before anything is drawn."""

from dataclasses import replace
from math import fsum
from typing import Any

import numpy as np
import pytest

from dpsynth.audit.claim import audit_claim
from dpsynth.audit.registration import Registration, looks_up_to
from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import ResearchNoise

PLAN = Registration(
    mechanism="m", claim="c", pairs=("a", "b"), families=("f",), looks=(300, 2000), alpha=0.05
)


@pytest.mark.parametrize("looks", [(300,), (300, 2000), (300, 2000, 10000), (50, 60, 70, 80)])
def test_looks_and_pairs_together_spend_alpha(looks: tuple[int, ...]) -> None:
    plan = replace(PLAN, looks=looks)
    spent = fsum(plan.spent(look) * len(plan.pairs) for look in range(len(looks)))
    assert spent == pytest.approx(plan.alpha, rel=1e-12)


def test_the_hash_is_of_everything() -> None:
    changes: dict[str, Any] = {
        "mechanism": "n",
        "claim": "d",
        "pairs": ("a",),
        "families": ("f", "g"),
        "looks": (300,),
        "alpha": 0.1,
        "split": "none",
        "seed": 1,
    }
    hashes = {replace(PLAN, **{name: value}).digest for name, value in changes.items()}
    assert len(hashes | {PLAN.digest}) == len(changes) + 1
    assert replace(PLAN).digest == PLAN.digest


@pytest.mark.parametrize(
    "wrong",
    [{"looks": (10,)}, {"looks": (300, 300)}, {"looks": ()}, {"alpha": 1.0}, {"pairs": ()}],
)
def test_what_cannot_be_spent_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        replace(PLAN, **wrong)


def test_looks_end_where_asked() -> None:
    assert looks_up_to(10_000) == (300, 2000, 10_000)
    assert looks_up_to(400) == (400,)
    assert looks_up_to(100_000) == (300, 2000, 10_000, 100_000)


def test_the_registration_comes_before_the_first_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    announced: list[Registration] = []

    def refuse(*args: Any, **named: Any) -> Any:
        assert announced, "noise was drawn before the registration was announced"
        raise KeyboardInterrupt

    monkeypatch.setattr(ResearchNoise, "gaussian", refuse)
    with pytest.raises(KeyboardInterrupt):
        audit_claim(
            Independent(),
            Budget(epsilon=1.0, delta=1e-5),
            runs=50,
            rng=np.random.default_rng(0),
            announce=announced.append,
        )
    assert announced[0].looks == (50,)
