"""Who is compared."""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, final

from dpsynth.third_party.catalogue import find_peer, known_peers
from dpsynth.third_party.environments import Environment, environments_folder

HERE = Path(__file__).parent
PACKAGE = HERE.parent.parent / "dpsynth"


@final
@dataclass(frozen=True, kw_only=True)
class Contender:
    """A mechanism of some project.

    Args:
        project: "ours", one of this package's third parties, or the name of a requirements file.
        mechanism: what the runner is asked for.
        label: what tables call the mechanism, where that is not its name.
        parameters: what the runner is told besides.
        absent: why it can be run by nobody here; empty for one that can.
        raw: whether it starts from raw records, by its own preprocessing, and not from codes.
    """

    project: str
    mechanism: str
    label: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    absent: str = ""
    raw: bool = False

    @property
    def name(self) -> str:
        """How tables and the command line call it."""
        return f"{self.project}/{self.label or self.mechanism}"

    @property
    def runner(self) -> Path:
        """The script that fits it and writes synthetic records."""
        if not self.raw and self.project in known_peers():
            return find_peer(self.project).adapter
        return HERE / f"{'raw' if self.raw else 'run'}_{self.project}.py"

    @property
    def environment(self) -> Environment | None:
        """Where its runner runs; None for ours, which has this interpreter."""
        if self.project == "ours":
            return None
        if self.project in known_peers():
            return find_peer(self.project).environment()
        pins, home = HERE / f"{self.project}.txt", environments_folder() / self.project
        return Environment(name=self.project, requirements=pins, pythons=("3.11",), home=home)

    @property
    def version(self) -> str:
        """A digest of everything that its results depend on: pins and runner, or our own code."""
        files = [self.runner] if self.runner.exists() else []
        where = self.environment
        files += [where.requirements] if where else sorted(PACKAGE.rglob("*.py"))
        return sha256(b"".join(f.read_bytes() for f in files if f.exists())).hexdigest()[:12]


MARGINAL = (
    "independent",
    "mwem",
    "privbayes",
    "mst",
    "aim",
    "aim_gdp",
    "tree",
    "two_stage",
    "two_stage_label",
    "residual",
)
OURS = (*MARGINAL, "dpgan", "dpctgan", "pate_gan")
NEURAL = ("dpgan", "dpctgan", "patectgan")
CONTENDERS = (
    *(Contender(project="ours", mechanism=m) for m in OURS),
    *(Contender(project="dpmm", mechanism=m) for m in ("privbayes", "mst", "aim")),
    *(Contender(project="smartnoise", mechanism=m) for m in ("mst", "aim")),
    *(Contender(project="smartnoise", mechanism=m) for m in NEURAL),
    Contender(project="smartnoise", mechanism="pategan", label="pate_gan"),
    Contender(  # what it is worth in the time that others take
        project="smartnoise",
        mechanism="dpctgan",
        label="dpctgan_one_pass",
        parameters={"epochs": 1},
    ),
    *(Contender(project="opendp", mechanism=m) for m in ("mst", "aim")),
    Contender(project="mbi", mechanism="mst"),
    Contender(
        project="google", mechanism="aim_gdp", absent="its package has no release on PyPI to pin"
    ),
)
RAW = (
    *(Contender(project="ours", mechanism=m, raw=True) for m in ("two_stage", "mst", "tree")),
    *(Contender(project="dpmm", mechanism=m, raw=True) for m in ("mst", "privbayes")),
    Contender(project="smartnoise", mechanism="mst", raw=True),
)
