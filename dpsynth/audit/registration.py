"""What an audit will look at, written down and hashed before anything is drawn."""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import fsum
from typing import final

from dpsynth.errors import InvalidValueError

LOOKS = (300, 2_000, 10_000)
LEAST_RUNS = 50


@final
@dataclass(frozen=True, kw_only=True)
class Registration:
    """The pairs, scores, looks and error of an audit, all chosen beforehand.

    The error alpha is divided among looks (half of it to the last, the rest in equal parts) and
    within a look among pairs, scores, the three thresholds and the two error rates of each. So all
    bounds of all looks hold at once with probability 1 - alpha, and an audit that stops at the
    first violation is right to stop.

    Args:
        mechanism: what is audited.
        claim: the guarantee in words.
        pairs: names of the pairs of tables, each with a hash of its records.
        families: names of the scores; of these a pair gets what applies to what was recorded on it.
        looks: test runs in each world at which the audit looks, rising.
        alpha: probability of reporting a violation where there is none.
        split: how many runs a world train and validate a look of n test runs.
        seed: what the simulation is seeded with; None where it was given a stream.

    Raises:
        InvalidValueError: no pair, looks that do not rise or are below 50, alpha outside (0, 1).
    """

    mechanism: str
    claim: str
    pairs: tuple[str, ...]
    families: tuple[str, ...]
    looks: tuple[int, ...]
    alpha: float
    split: str = "n / 2 runs train, n / 2 validate, n test"
    seed: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise InvalidValueError("alpha", self.alpha, "between 0 and 1")
        if not self.pairs:
            raise InvalidValueError("pairs", self.pairs, "at least one")
        rising = all(a < b for a, b in zip(self.looks, self.looks[1:], strict=False))
        if not self.looks or not rising:
            raise InvalidValueError("looks", self.looks, "numbers of runs that rise")
        if self.looks[0] < LEAST_RUNS:
            raise InvalidValueError("runs", self.looks[0], f"at least {LEAST_RUNS}")

    def spent(self, look: int) -> float:
        """Return the error given to each pair at a look, counted from 0."""
        last = len(self.looks) - 1
        share = 1.0 if last == 0 else 0.5 if look == last else 0.5 / last
        return self.alpha * share / len(self.pairs)

    @property
    def digest(self) -> str:
        """SHA-256 of the registration as JSON."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return the registration as names and texts for a report."""
        spending = [self.spent(i) * len(self.pairs) for i in range(len(self.looks))]
        assert fsum(spending) <= self.alpha * (1 + 1e-12)
        return (
            ("mechanism", self.mechanism),
            ("claim", self.claim),
            ("pairs", "; ".join(self.pairs)),
            ("scores", ", ".join(self.families)),
            ("looks", ", ".join(f"{n:,}" for n in self.looks) + " test runs a world"),
            ("alpha", f"{self.alpha:g}, spent {', '.join(f'{s:g}' for s in spending)}"),
            ("split", self.split),
            ("sha256", self.digest),
        )


def looks_up_to(runs: int) -> tuple[int, ...]:
    """Return the looks of an audit that ends at `runs` test runs a world."""
    return (*(n for n in LOOKS if 2 * n <= runs), runs)
