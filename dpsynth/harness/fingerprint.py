"""What results depend on besides settings: the code, the libraries, the records."""

from hashlib import sha256
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from sys import version_info
from typing import TYPE_CHECKING

import dpsynth
from dpsynth.harness.checksum import file_hash
from dpsynth.harness.config import Choice, DatasetChoice
from dpsynth.registry import ATTACKS, DATASETS, GENERATORS, METRICS, Registry

if TYPE_CHECKING:
    from dpsynth.data.datasets import Dataset

# A change in these does not change a row: results made before it stay valid. What is not listed
# counts, so that a new file is safe by default.
_WITHOUT_EFFECT = (
    "report/",
    "cli/",
    "recommendation/",
    "__main__.py",
    "third_party/peers/",  # each cell has those of its own program
    *(
        f"harness/{name}.py"
        for name in (
            *("config", "cost", "dask_engine", "engine", "fingerprint", "frame", "lock"),
            *("progress", "query", "record", "store", "suite", "sweep", "warm", "worker"),
            "yardstick",
        )
    ),
)
_LIBRARIES = ("numpy", "scipy", "pandas", "scikit-learn", "dp-accounting", "torch", "opacus")


def code_hash(choices: dict[str, tuple[Choice, ...]]) -> str:
    """Return a hash of every source file that can change a row.

    Args:
        choices: "generators", "metrics", "attacks" -> what the experiment names; those that live
            in other packages contribute the file that defines them.
    """
    root = Path(dpsynth.__file__).parent
    files = {p.relative_to(root).as_posix(): p for p in sorted(root.rglob("*.py"))}
    wanted = {name: path for name, path in files.items() if not name.startswith(_WITHOUT_EFFECT)}
    registries = {"generators": GENERATORS, "metrics": METRICS, "attacks": ATTACKS}
    for section, registry in registries.items():
        for choice in choices.get(section, ()):
            wanted.update(_foreign(registry, choice.name))
    digest = sha256()
    for name in sorted(wanted):
        digest.update(f"{name}\0{sha256(wanted[name].read_bytes()).hexdigest()}\0".encode())
    return digest.hexdigest()


def _foreign(registry: Registry, name: str) -> dict[str, Path]:
    module = registry.target(name).partition(":")[0]
    if module.startswith("dpsynth."):
        return {}
    source = getattr(import_module(module), "__file__", None)
    return {module: Path(source)} if source else {}


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that compute rows."""
    found = {"python": ".".join(str(part) for part in version_info[:3])}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def has_module(name: str) -> bool:
    """Return whether the module `name` is installed, without importing it."""
    return find_spec(name) is not None


def load_dataset(choice: DatasetChoice, folder: Path) -> "Dataset":
    """Return the records that `choice` names.

    Args:
        choice: a registered name, or a file of the user's own.
        folder: where its relative paths start.

    Raises:
        FileError: a missing file.
        DataError: records that do not fit their schema.
    """
    from dpsynth.data.datasets import Dataset, Target
    from dpsynth.data.files import load_file
    from dpsynth.data.schema import Schema

    if choice.path is None:
        return DATASETS.get(choice.name)()
    schema_path = folder / (choice.schema or "")
    table = load_file(folder / choice.path, Schema.load(schema_path))
    target = None
    if choice.target is not None:
        table.schema.column(choice.target)
        target = Target(column=choice.target, above=choice.above, positive=choice.positive)
    hashes = [bytes.fromhex(file_hash(p)) for p in (folder / choice.path, schema_path)]
    return Dataset(
        name=choice.name,
        table=table,
        target=target,
        citation="a file of the user's own",
        licence="unknown",
        sha256=sha256(b"".join(hashes)).hexdigest(),
    )
