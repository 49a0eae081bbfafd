# It runs in the peer's environment.
# pyright: reportMissingImports=false, reportPrivateImportUsage=false
"""Print the domain that synthcity's schema infers from records, without one record and with it:
`python scripts/peers/probe_synthcity.py`.

synthcity 0.2.12 asks for a PyTorch that comes as a CUDA build. For its schema alone none of what
builds on that is called, so whatever is missing is replaced by a stand-in that does nothing; which
ones were, is printed. No generator is fitted, and none could be.
"""

import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from unittest.mock import MagicMock

ABSENT = {"torchvision", "opacus", "monai", "tsai", "fastai", "pycox", "torchtuples", "xgbse"}
ABSENT |= {"xgboost", "shap", "lifelines", "nflows", "fflows", "geomloss", "pykeops", "pgmpy"}
ABSENT |= {"arfpy", "be_great", "decaf", "redis", "tenacity", "matplotlib", "seaborn"}


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds what nothing else finds, as a module whose members do nothing."""

    def __init__(self) -> None:
        self.made: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname.partition(".")[0] not in ABSENT:
            return None
        self.made.add(fullname.partition(".")[0])
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = MagicMock(name=spec.name)
        module.__path__, module.__spec__, module.__name__ = [], spec, spec.name
        return module

    def exec_module(self, module: ModuleType) -> None:
        del module


def main() -> None:
    stand_ins = StandIns()
    sys.meta_path.append(stand_ins)
    import pandas as pd
    from synthcity.plugins.core.dataloader import GenericDataLoader
    from synthcity.plugins.core.schema import Schema

    for income, town in ((), ()), ((987_654,), ("nowhere",)):
        frame = pd.DataFrame(
            {"income": [*range(0, 1000, 5), *income], "town": [*["oslo", "rome"] * 100, *town]}
        )
        found = Schema(data=GenericDataLoader(frame))
        print(
            f"{len(frame)} records: income from {found['income'].min()} to "
            f"{found['income'].max()}, towns {', '.join(found['town'].choices)}"
        )
    print(f"stand-ins: {', '.join(sorted(stand_ins.made))}")


if __name__ == "__main__":
    main()
