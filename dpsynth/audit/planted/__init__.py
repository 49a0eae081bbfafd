"""Mechanisms with one known defect each, their correct twins, and what finds them.

An auditor that finds nothing is worth what it would have found. `PLANTED` says, for each bug, which
catcher finds it at the least cost; the same catcher must be silent on the twin.
"""

from collections.abc import Mapping
from types import MappingProxyType

from dpsynth.audit.planted.bug import CATCHERS, PlantedBug, Subject
from dpsynth.audit.planted.bypasses import BYPASSES
from dpsynth.audit.planted.charges import CHARGES
from dpsynth.audit.planted.noises import NOISES
from dpsynth.audit.planted.opening import OPENINGS
from dpsynth.audit.planted.sensitivities import SENSITIVITIES
from dpsynth.audit.planted.training import TRAINING

PLANTED: Mapping[str, PlantedBug] = MappingProxyType(
    {bug.name: bug for bug in (*BYPASSES, *OPENINGS, *CHARGES, *SENSITIVITIES, *TRAINING, *NOISES)}
)
"""Name -> bug."""

__all__ = ["CATCHERS", "PLANTED", "PlantedBug", "Subject"]
