"""Differential-privacy-first synthetic data: generators, one ledger, audits, experiments.

The public names are imported when first used: `import dpsynth` loads none of the heavy libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpsynth.data.columns import CategoricalColumn, FloatColumn, IntegerColumn
    from dpsynth.data.files import load_csv, load_parquet
    from dpsynth.data.infer import infer_schema
    from dpsynth.data.linked_schema import LinkedSchema
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table
    from dpsynth.drift.detect import detect_drift
    from dpsynth.errors import DpsynthError, PrivacyError
    from dpsynth.generators.limits import Limits
    from dpsynth.linked.synthesis import LinkedSynthesis, synthesize_linked
    from dpsynth.privacy.budget import Budget, Neighbouring
    from dpsynth.privacy.receipt import Receipt
    from dpsynth.registry import ATTACKS, DATASETS, GENERATORS, METRICS
    from dpsynth.synthesis import Synthesis, load, synthesize
    from dpsynth.tuning.random_stopping import tune

__version__ = "0.1.0"

_HOMES = {
    "ATTACKS": "dpsynth.registry",
    "Budget": "dpsynth.privacy.budget",
    "CategoricalColumn": "dpsynth.data.columns",
    "DATASETS": "dpsynth.registry",
    "DpsynthError": "dpsynth.errors",
    "FloatColumn": "dpsynth.data.columns",
    "GENERATORS": "dpsynth.registry",
    "IntegerColumn": "dpsynth.data.columns",
    "Limits": "dpsynth.generators.limits",
    "LinkedSchema": "dpsynth.data.linked_schema",
    "LinkedSynthesis": "dpsynth.linked.synthesis",
    "METRICS": "dpsynth.registry",
    "Neighbouring": "dpsynth.privacy.budget",
    "PrivacyError": "dpsynth.errors",
    "Receipt": "dpsynth.privacy.receipt",
    "Schema": "dpsynth.data.schema",
    "Synthesis": "dpsynth.synthesis",
    "Table": "dpsynth.data.table",
    "detect_drift": "dpsynth.drift.detect",
    "infer_schema": "dpsynth.data.infer",
    "load": "dpsynth.synthesis",
    "load_csv": "dpsynth.data.files",
    "load_parquet": "dpsynth.data.files",
    "synthesize": "dpsynth.synthesis",
    "synthesize_linked": "dpsynth.linked.synthesis",
    "tune": "dpsynth.tuning.random_stopping",
}

__all__ = [
    "ATTACKS",
    "DATASETS",
    "GENERATORS",
    "METRICS",
    "Budget",
    "CategoricalColumn",
    "DpsynthError",
    "FloatColumn",
    "IntegerColumn",
    "Limits",
    "LinkedSchema",
    "LinkedSynthesis",
    "Neighbouring",
    "PrivacyError",
    "Receipt",
    "Schema",
    "Synthesis",
    "Table",
    "__version__",
    "detect_drift",
    "infer_schema",
    "load",
    "load_csv",
    "load_parquet",
    "synthesize",
    "synthesize_linked",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dpsynth' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
