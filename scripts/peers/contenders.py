"""Who is compared."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import final

HERE = Path(__file__).parent
PACKAGE = HERE.parent.parent / "dpsynth"


@final
@dataclass(frozen=True, kw_only=True)
class Contender:
    """A mechanism of some project.

    Args:
        project: "ours", or the name of the peer's requirements file and runner.
        mechanism: what the runner is asked for.
        absent: why it can be run by nobody here; empty for one that can.
        raw: whether it starts from raw records, by its own preprocessing, and not from codes.
    """

    project: str
    mechanism: str
    absent: str = ""
    raw: bool = False

    @property
    def name(self) -> str:
        """How tables and the command line call it."""
        return f"{self.project}/{self.mechanism}"

    @property
    def runner(self) -> Path:
        """The script that fits it and writes synthetic records."""
        return HERE / f"{'raw' if self.raw else 'run'}_{self.project}.py"

    @property
    def requirements(self) -> Path | None:
        """The pins of its environment; None for ours."""
        return None if self.project == "ours" else HERE / f"{self.project}.txt"

    @property
    def version(self) -> str:
        """A digest of everything that its results depend on: pins and runner, or our own code."""
        files = [self.runner] if self.runner.exists() else []
        files += [self.requirements] if self.requirements else sorted(PACKAGE.rglob("*.py"))
        return sha256(b"".join(f.read_bytes() for f in files if f.exists())).hexdigest()[:12]


OURS = (
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
    "dpgan",
    "dpctgan",
    "pate_gan",
)
NEURAL = ("dpgan", "dpctgan", "dpctgan_one_pass", "pate_gan", "patectgan")
CONTENDERS = (
    *(Contender(project="ours", mechanism=m) for m in OURS),
    *(Contender(project="dpmm", mechanism=m) for m in ("privbayes", "mst", "aim")),
    *(Contender(project="smartnoise", mechanism=m) for m in ("mst", "aim")),
    *(Contender(project="smartnoise_neural", mechanism=m) for m in NEURAL),
    *(Contender(project="opendp", mechanism=m) for m in ("mst", "aim")),
    Contender(
        project="google", mechanism="aim_gdp", absent="its package has no release on PyPI to pin"
    ),
)
RAW = (
    *(Contender(project="ours", mechanism=m, raw=True) for m in ("two_stage", "mst", "tree")),
    *(Contender(project="dpmm", mechanism=m, raw=True) for m in ("mst", "privbayes")),
    Contender(project="smartnoise", mechanism="mst", raw=True),
)
