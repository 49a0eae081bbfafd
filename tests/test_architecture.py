"""The layers, read from the imports: a module imports only from its own layer's floor downwards."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dpsynth"

# What each room may import from the others at run time; imports for type checking are free.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "registry": {"errors"},
    "atomic": {"errors"},
    "archive": {"errors"},
    "memory": set(),
    "threads": set(),
    "parameters": {"errors"},
    "privacy": {"errors"},
    "data": {"errors", "atomic"},
    "pgm": {"errors", "threads", "data.domain"},
    "curator": {"errors", "privacy", "data", "pgm.measurement", "pgm.support"},
    "generators": {
        "errors",
        "registry",
        "curator",
        "memory",
        "pgm",
        "privacy",
        "data.domain",
        "data.schema",
        "data.columns",
        "data.encoding",
    },
    "sampling": {"errors", "data", "pgm", "generators"},
    "evaluation": {"errors", "registry", "data", "sampling.causal_graph"},
    "synthesis": {
        "errors",
        "registry",
        "parameters",
        "privacy",
        "data",
        "curator",
        "generators",
        "opening",
        "preparation",
        "sampling",
        "saved",
        "checkpoint",
    },
    "preparation": {
        "errors",
        "curator",
        "data.binning",
        "data.column_rules",
        "data.columns",
        "data.interpolation",
        "data.numeric",
        "data.open_columns",
        "data.schema",
    },
    "opening": {"errors", "privacy", "data", "curator", "preparation"},
    "inference": {"errors", "data", "pgm", "generators"},
    "private_evaluation": {
        "errors",
        "privacy",
        "data",
        "curator",
        "evaluation.contingency",
        "opening",
        "synthesis",
    },
    "drift": {"errors", "privacy", "data", "pgm", "curator", "generators", "synthesis", "opening"},
    "tuning": {
        "errors",
        "registry",
        "parameters",
        "privacy",
        "data",
        "pgm.product_mixture",
        "generators",
        "sampling",
        "evaluation",
        "synthesis",
        "opening",
    },
    "saved": {
        "errors",
        "registry",
        "archive",
        "atomic",
        "parameters",
        "privacy.receipt",
        "data.schema",
        "generators",
        "synthesis",
    },
    "checkpoint": {"errors", "atomic", "privacy", "data", "opening", "saved", "synthesis"},
    "linked": {
        "errors",
        "registry",
        "atomic",
        "privacy",
        "data",
        "pgm",
        "curator",
        "generators",
        "synthesis",
        "saved",
    },
    "audit": {
        "errors",
        "registry",
        "atomic",
        "privacy",
        "data",
        "pgm",
        "curator",
        "generators",
        "evaluation",
    },
    "attacks": {
        "errors",
        "data",
        "pgm",
        "generators",
        "evaluation",
        "audit.statistics",
    },
    "third_party": {"errors", "atomic", "data"},
    "harness": {
        "errors",
        "registry",
        "atomic",
        "memory",
        "parameters",
        "privacy",
        "data",
        "curator",
        "generators",
        "synthesis",
        "evaluation",
        "audit",
        "attacks",
        "preparation",
        "third_party",
    },
    "recommendation": {
        "errors",
        "registry",
        "parameters",
        "privacy",
        "data",
        "generators",
        "evaluation.intervals",
        "opening.fitting_accountant",
    },
    "report": {"errors", "registry", "harness.store", "privacy.receipt"},
}
# The base install and `import dpsynth` stay light: these load only where they are used.
HEAVY = {
    "torch",
    "opacus",
    "sklearn",
    "matplotlib",
    "dp_accounting",
    "statsmodels",
    "diffprivlib",
    "fairlearn",
    "optuna",
    "duckdb",
    "distributed",
}


def imports(source: str) -> Iterator[tuple[str, bool, bool]]:
    """Yield (module, at_module_level, only_for_types) for every absolute import in `source`."""
    tree = ast.parse(source)

    def walk(node: ast.AST, *, top: bool, typing: bool) -> Iterator[tuple[str, bool, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((a.name, top, typing) for a in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, "imports are absolute here"
                yield from ((f"{child.module}.{a.name}", top, typing) for a in child.names)
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                guarded = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
                yield from walk(child, top=top and not inside, typing=typing or guarded)

    yield from walk(tree, top=True, typing=False)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def violations(room: str, source: str) -> list[str]:
    """Return what `source`, a module of `room`, imports against the rules."""
    found = []
    for module, top, typing in imports(source):
        if typing:
            continue
        if module.split(".")[0] in HEAVY and top:
            found.append(f"{module} at module level")
        if not module.startswith("dpsynth."):
            continue
        target = module.removeprefix("dpsynth.")
        own = room not in ALLOWED or target.split(".")[0] == room
        if not own and not any(target == a or target.startswith(a + ".") for a in ALLOWED[room]):
            found.append(module)
    return found


# What other interpreters run is data of this package, and no module of it.
DATA = PACKAGE / "third_party" / "peers"
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if DATA not in p.parents)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_module_imports_only_what_its_layer_may(path: Path) -> None:
    assert violations(room_of(path), path.read_text()) == []


def test_every_room_has_a_rule() -> None:
    tops = {"__init__", "__main__", "cli"}
    assert {room_of(p) for p in MODULES} - tops <= set(ALLOWED)


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("privacy", "from dpsynth.data.table import Table"),
        ("data", "from dpsynth.privacy.noise import ReleaseNoise"),
        ("pgm", "from dpsynth.data import table"),
        ("generators", "from dpsynth.data.table import Table"),
        ("generators", "def f():\n    from dpsynth.data.table import Table"),
        ("evaluation", "import dpsynth.curator.private_data"),
        ("report", "from dpsynth.curator.private_data import PrivateData"),
        ("generators", "import torch"),
        ("evaluation", "from sklearn.linear_model import LogisticRegression"),
    ],
)
def test_a_forbidden_import_is_seen(room: str, line: str) -> None:
    assert violations(room, line)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("generators", "def f():\n    import torch"),
        ("generators", "if TYPE_CHECKING:\n    from dpsynth.data.table import Table"),
        ("pgm", "from dpsynth.data.domain import Domain"),
    ],
)
def test_what_is_allowed_is_not_flagged(room: str, source: str) -> None:
    assert violations(room, source) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_hidden_randomness(path: Path) -> None:
    """Only entry points turn a seed into a generator; nothing touches a global one."""
    text = path.read_text()
    assert "np.random.seed" not in text
    assert "torch.manual_seed" not in text
    if room_of(path) not in {"synthesis", "harness", "cli"}:
        assert "default_rng(" not in text


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_no_function_is_over_fifty_lines() -> None:
    long = [
        f"{path.name}:{node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and _code_lines(node) > 50
    ]
    assert long == []


def _code_lines(node: ast.FunctionDef) -> int:
    """Lines of a function without its docstring."""
    body = node.body
    first = body[0]
    doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    end = node.end_lineno or node.lineno
    skipped = (first.end_lineno or 0) - first.lineno + 1 if doc else 0
    return end - node.lineno + 1 - skipped
