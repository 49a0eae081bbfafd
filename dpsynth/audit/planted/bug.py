"""A planted bug: a mechanism with one known defect, its correct twin, and what finds it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np

CATCHERS = (
    "record",
    "sensitivity",
    "replay",
    "brute force",
    "accounting",
    "rows",
    "two fits",
    "noise scale",
    "bit patterns",
    "component audit",
    "canary dot products",
    "atoms",
)
"""Names of what finds bugs, the cheapest first: a recording, a replay, then statistics."""

LISTED = "A list of defects in public libraries, unnamed there."
PATE_GAN = "Implementations of PATE-GAN, unnamed in a list of defects in public libraries."


class Subject(ABC):
    """A mechanism as one catcher sees it. Values: final and frozen."""

    @property
    @abstractmethod
    def catcher(self) -> str:
        """The name of the catcher, of `CATCHERS`."""

    @abstractmethod
    def findings(self, *, rng: np.random.Generator) -> tuple[str, ...]:
        """Return what is wrong with the mechanism, as sentences; none on a correct one.

        Args:
            rng: source of all randomness.
        """


@final
@dataclass(frozen=True, kw_only=True)
class PlantedBug:
    """One defect.

    Args:
        name: short, unique.
        defect: what is wrong, in one sentence.
        seen: where it was seen in real software, as a reference; or that it was not.
        faulty: the mechanism with the defect.
        twin: the same mechanism without it.
    """

    name: str
    defect: str
    seen: str
    faulty: Subject
    twin: Subject

    @property
    def catcher(self) -> str:
        """The cheapest catcher that finds it."""
        return self.faulty.catcher
