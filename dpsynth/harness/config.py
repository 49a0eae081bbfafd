"""An experiment: one TOML file, read strictly, with profiles that override parts of it."""

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeAlias, final

from dpsynth.data.open_columns import BINNINGS, Binning
from dpsynth.errors import DpsynthError, FileError, InvalidValueError, UnknownNameError
from dpsynth.harness.programs import check_program, is_program, label_of, named_program
from dpsynth.parameters import check_keys, construct, convert
from dpsynth.preparation.prepare import Preparation
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.registry import ATTACKS, DATASETS, GENERATORS, METRICS

Parameters: TypeAlias = dict[str, Any]
AS_WRITTEN = "full"  # the profile that a file need not define: the file as it stands


@final
@dataclass(frozen=True, kw_only=True)
class Choice:
    """A generator, metric or attack by its registry name, with the parameters that were written.

    Args:
        name: the registry's name, or of a generator what `programs` knows it by.
        label: what rows call it; two choices of one name need two labels.
        parameters: hyperparameters, the rest at their defaults.
        accountant: for generators: the accountant, or None for the generator's own choice.
        preparation: for generators: forget bounds and bins of numbers, and buy them (`Forgotten`);
            None: as the data set's schema has them.
        only: for attacks: labels of the generators it is run on; None for all.
    """

    name: str
    label: str
    parameters: Parameters = field(default_factory=dict)
    accountant: str | None = None
    preparation: "Forgotten | None" = None
    only: tuple[str, ...] | None = None


@final
@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What is bought of numbers whose bounds and bins the data set's schema would have said.

    Args:
        share: the most that it may cost, as a part of the budget.
        binning: "privtree", "quantile" or "width".
        bounds: whether bounds stay known.
    """

    share: float = Preparation.share
    binning: Binning = "privtree"
    bounds: bool = False

    def __post_init__(self) -> None:
        Preparation(share=self.share)
        if self.binning not in BINNINGS:
            rule = " or ".join(map(repr, BINNINGS))
            raise InvalidValueError("preparation: binning", self.binning, rule)


@final
@dataclass(frozen=True, kw_only=True)
class DatasetChoice:
    """A named data set, or a file of the user's own with its schema.

    Args:
        name: the registry's name, or the user's name for the file.
        path: the file (CSV or Parquet), relative to the experiment's folder.
        schema: its schema, likewise.
        target: the column that train-on-synthetic-test-on-real predicts.
        above: a numeric target is 1 above this value.
        positive: a categorical target is 1 where it equals this category.
    """

    name: str
    path: str | None = None
    schema: str | None = None
    target: str | None = None
    above: float | None = None
    positive: str | int | bool | None = None


@final
@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """How the claim of every generator at every budget is audited.

    Args:
        runs: simulated runs in each of the two worlds.
        alpha: the chance of a false alarm of one audit.
    """

    runs: int = 2000
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if self.runs < 100:
            raise InvalidValueError("audit: runs", self.runs, "at least 100")
        if not 0 < self.alpha < 1:
            raise InvalidValueError("audit: alpha", self.alpha, "above 0 and below 1")


@final
@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one cell may take before it is stopped and becomes a row that says so.

    Args:
        timeout_seconds: wall time.
        memory_mb: resident memory in MiB; None for no limit.
    """

    timeout_seconds: float = 1800.0
    memory_mb: float | None = None

    def __post_init__(self) -> None:
        if not self.timeout_seconds > 0:
            raise InvalidValueError("limits: timeout_seconds", self.timeout_seconds, "above 0")
        if self.memory_mb is not None and not self.memory_mb > 0:
            raise InvalidValueError("limits: memory_mb", self.memory_mb, "above 0")


@final
@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Data sets x generators x budgets x seeds, and what is measured on each.

    Args:
        name: a name for reports.
        datasets: names, or tables with a path of one's own; none where only claims are audited.
        generators: names, or tables with hyperparameters.
        epsilons: privacy budgets, each above 0.
        deltas: in [0, 1).
        relation: "add_remove" or "replace".
        seeds: one of generation, evaluation and split each.
        metrics, attacks: names, or tables with parameters.
        holdout: share of the records kept apart from the fit, as test split and control.
        audit: None leaves the audits of the claims out.
        limits: what one cell may take.
        folder: where relative paths start.
    """

    name: str
    datasets: tuple[DatasetChoice, ...]
    generators: tuple[Choice, ...]
    epsilons: tuple[float, ...]
    deltas: tuple[float, ...] = (1e-9,)
    relation: Neighbouring = Neighbouring.ADD_REMOVE
    seeds: tuple[int, ...] = (0,)
    metrics: tuple[Choice, ...] = ()
    attacks: tuple[Choice, ...] = ()
    holdout: float = 0.5
    audit: AuditSettings | None = None
    limits: Limits = Limits()
    folder: Path = Path()

    def __post_init__(self) -> None:
        for name in ("datasets", "generators", "epsilons", "deltas", "seeds"):
            if not getattr(self, name) and not (name == "datasets" and self.audit is not None):
                raise InvalidValueError(name, [], "a list with at least one entry")
        self._check_labels()
        for epsilon in self.epsilons:
            for delta in self.deltas:
                Budget(epsilon=epsilon, delta=delta, relation=self.relation)
        if not 0 < self.holdout < 1:
            raise InvalidValueError("holdout", self.holdout, "above 0 and below 1")
        if min(self.seeds) < 0:
            raise InvalidValueError("seeds", min(self.seeds), "at least 0")

    def _check_labels(self) -> None:
        for name in ("datasets", "generators", "epsilons", "deltas", "seeds", "metrics", "attacks"):
            labels = [_label(value) for value in getattr(self, name)]
            if len(set(labels)) < len(labels):
                raise InvalidValueError(name, labels, "without repetition (use 'label')")
            if name in ("datasets", "metrics") and any("/" in label for label in labels):
                rule = "without '/' in a label, as reports name files after them"
                raise InvalidValueError(name, labels, rule)

    @classmethod
    def load(cls, path: str | Path, *, profile: str = AS_WRITTEN) -> "Experiment":
        """Return the experiment in the TOML file at `path`, under `profile`.

        A table `[profile.NAME]` replaces the keys that it names.

        Raises:
            FileError: a missing file, or one that is not TOML.
            UnknownNameError: a misspelt key, profile, generator, metric, attack or data set.
            InvalidValueError: a value of the wrong type or outside its range.
        """
        raw = _read(path)
        try:
            return _build(raw, profile=profile, folder=Path(path).resolve().parent)
        except DpsynthError as error:
            error.add_note(f"in {path}")
            raise


def _read(path: str | Path) -> Parameters:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(path, f"not valid TOML ({error})") from None


def _build(raw: Parameters, *, profile: str, folder: Path) -> Experiment:
    profiles = raw.pop("profile", {})
    if not isinstance(profiles, dict):
        raise InvalidValueError("profile", profiles, "a table of profiles, [profile.NAME]")
    if profile != AS_WRITTEN and profile not in profiles:
        raise UnknownNameError("profile", profile, {*profiles, AS_WRITTEN})
    known = [f.name for f in fields(Experiment) if f.name != "folder"]
    for name, overrides in profiles.items():
        check_keys(overrides, known, kind=f"key of profile {name!r}")
    check_keys(raw, known, kind="key")
    merged = {**raw, **profiles.get(profile, {})}
    for required in ("name", "datasets", "generators", "epsilons"):
        if required not in merged:
            raise InvalidValueError(required, None, "given")
    return Experiment(
        name=convert(merged["name"], str, field="name"),
        datasets=_datasets(merged["datasets"]),
        generators=_choices(merged["generators"], "generators", GENERATORS),
        epsilons=convert(merged["epsilons"], tuple[float, ...], field="epsilons"),
        deltas=convert(merged.get("deltas", [1e-9]), tuple[float, ...], field="deltas"),
        relation=_relation(merged.get("relation", "add_remove")),
        seeds=_seeds(merged.get("seeds", [0])),
        metrics=_choices(merged.get("metrics", []), "metrics", METRICS),
        attacks=_choices(merged.get("attacks", []), "attacks", ATTACKS),
        holdout=convert(merged.get("holdout", 0.5), float, field="holdout"),
        audit=_section(merged["audit"], AuditSettings, "audit") if "audit" in merged else None,
        limits=_section(merged.get("limits", {}), Limits, "limits"),
        folder=folder,
    )


def _relation(value: Any) -> Neighbouring:
    if value not in list(Neighbouring):
        raise InvalidValueError("relation", value, "'add_remove' or 'replace'")
    return Neighbouring(value)


def _section(value: Any, cls: type[Any], section: str) -> Any:
    return construct(cls, convert(value, dict[str, Any], field=section), owner=section)


def _seeds(value: Any) -> tuple[int, ...]:
    if isinstance(value, int) and not isinstance(value, bool):
        return tuple(range(value))  # `seeds = 3` means 0, 1, 2
    return convert(value, tuple[int, ...], field="seeds")


def _choices(value: Any, section: str, registry: Any) -> tuple[Choice, ...]:
    found = []
    for entry in convert(value, list[str | dict[str, Any]], field=section):
        table = {"name": entry} if isinstance(entry, str) else dict(entry)
        if registry is GENERATORS:
            table = named_program(table)
        if "name" not in table:
            raise InvalidValueError(f"{section}: name", None, "given")
        name = convert(table.pop("name"), str, field=f"{section}: name")
        label = convert(table.pop("label", label_of(name)), str, field=f"{section}: label")
        if registry is GENERATORS and is_program(name):
            check_program(name, table)
        else:
            registry.target(name)
        found.append(
            Choice(
                name=name,
                label=label,
                accountant=convert(
                    table.pop("accountant", None), str | None, field=f"{section}: accountant"
                )
                if registry is GENERATORS
                else None,
                preparation=_section(table.pop("preparation"), Forgotten, "preparation")
                if registry is GENERATORS and "preparation" in table
                else None,
                only=convert(table.pop("only", None), tuple[str, ...] | None, field="attacks: only")
                if registry is ATTACKS
                else None,
                parameters=table,
            )
        )
    return tuple(found)


def _datasets(value: Any) -> tuple[DatasetChoice, ...]:
    found = []
    for entry in convert(value, list[str | dict[str, Any]], field="datasets"):
        table = {"name": entry} if isinstance(entry, str) else entry
        choice = construct(DatasetChoice, table, owner="datasets")
        if choice.path is None:
            DATASETS.target(choice.name)
        elif choice.schema is None:
            raise InvalidValueError("datasets: schema", None, "given for a file of your own")
        found.append(choice)
    return tuple(found)


def _label(value: Any) -> Any:
    if isinstance(value, Choice):
        return value.label
    return value.name if isinstance(value, DatasetChoice) else value
