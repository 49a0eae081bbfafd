"""The project's own benchmarks: named experiments that come with the package, and have a version.

A suite's numbers compare with those of the same version alone; what it runs does not change without
a new one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from dpsynth.errors import UnknownNameError
from dpsynth.harness.config import Experiment

_FOLDER = Path(__file__).parent / "suites"
SUITES = ("marginals", "neural", "audit")
ALL = "all"
PROFILES = ("smoke", "paper")


@final
@dataclass(frozen=True, kw_only=True)
class Suite:
    """One suite under one profile.

    Args:
        name: one of `SUITES`.
        profile: "smoke" (a minute) or "paper".
        experiment: what it runs; its name is the suite's with the version.
    """

    name: str
    profile: str
    experiment: Experiment

    @property
    def version(self) -> int:
        return int(self.experiment.name.rpartition(" ")[2])

    @property
    def store(self) -> str:
        """Where its results go when nobody says otherwise."""
        return f"results/bench-{self.name}-{self.version}-{self.profile}"


def load_suites(name: str, *, profile: str) -> list[Suite]:
    """Return the suite called `name`, or every one for "all".

    Raises:
        UnknownNameError: no such suite or profile.
    """
    if name not in (*SUITES, ALL):
        raise UnknownNameError("suite", name, (*SUITES, ALL))
    if profile not in PROFILES:
        raise UnknownNameError("profile", profile, PROFILES)
    return [
        Suite(
            name=suite,
            profile=profile,
            experiment=Experiment.load(_FOLDER / f"{suite}.toml", profile=profile),
        )
        for suite in (SUITES if name == ALL else (name,))
    ]
