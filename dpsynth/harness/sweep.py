"""A sweep: plan the cells, leave out what is done, run the rest, keep every result at once."""

from collections.abc import Generator as Stream
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, final

from dpsynth.errors import DpsynthError, InvalidValueError, ThirdPartyError
from dpsynth.harness.cell import Cell, Fingerprint
from dpsynth.harness.config import Choice, DatasetChoice, Experiment
from dpsynth.harness.engine import Engine, LocalEngine, cores, run_in_process
from dpsynth.harness.fingerprint import code_hash, has_module, library_versions, load_dataset
from dpsynth.harness.programs import Program, find_program, is_program
from dpsynth.harness.record import Record
from dpsynth.harness.release import build_metric, predicts
from dpsynth.harness.scratch import owner_of, remove_abandoned
from dpsynth.harness.store import Store
from dpsynth.harness.worker import Task
from dpsynth.parameters import construct
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget
from dpsynth.registry import ATTACKS, DATASETS, GENERATORS, METRICS
from dpsynth.synthesis import build_generator

if TYPE_CHECKING:
    from dpsynth.data.datasets import Dataset
    from dpsynth.generators.base import Generator
    from dpsynth.harness.progress import Progress


@final
@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A part of an experiment that cannot run here, and why."""

    title: str
    reason: str


@final
@dataclass(frozen=True, kw_only=True)
class Plan:
    """The cells of an experiment, in the order in which they run.

    Args:
        experiment: what was asked for.
        cells: what it comes to.
        skipped: what is left out, with the reason.
    """

    experiment: Experiment
    cells: tuple[Cell, ...]
    skipped: tuple[Skipped, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for cell in self.cells:
            if cell.id in seen:
                raise InvalidValueError("cells", cell.title, "there once")
            seen.add(cell.id)

    @property
    def chosen(self) -> dict[str, tuple[Choice, ...]]:
        """What decides, besides this package, which code runs."""
        generators = {c.generator.label: c.generator for c in self.cells if c.program is None}
        return _chosen(self.experiment, tuple(generators.values()))

    @property
    def preload(self) -> list[str]:
        """The modules that the cells import, for the fork server to import once."""
        chosen = [
            *((DATASETS, c.dataset.name) for c in self.cells if c.dataset and not c.dataset.path),
            *((GENERATORS, c.generator.name) for c in self.cells if c.program is None),
            *((METRICS, m.name) for c in self.cells for m in c.metrics),
            *((ATTACKS, a.name) for c in self.cells for a in c.attacks),
        ]
        modules = {"dpsynth.harness.release", "dpsynth.harness.claims", "sklearn.ensemble"}
        modules |= {registry.target(name).partition(":")[0] for registry, name in chosen}
        extra = {m for c in self.cells if c.program is None for m in _needs(c.generator)}
        ours = sorted(m for m in modules if m.startswith(("dpsynth.", "sklearn")))
        return ["pandas", *sorted(extra), *ours]


@final
@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a sweep would find in its store."""

    finished: tuple[Cell, ...]
    failed: tuple[Cell, ...]
    damaged: tuple[Cell, ...]
    new: tuple[Cell, ...]

    @property
    def to_run(self) -> tuple[Cell, ...]:
        """Cells whose result is missing: never run, failed before, or damaged."""
        return (*self.new, *self.damaged, *self.failed)


def make_plan(experiment: Experiment) -> Plan:
    """Return the cells of `experiment`; every choice is checked before anything runs.

    Raises:
        UnknownNameError: a hyperparameter or parameter that does not exist.
        InvalidValueError: one with a value that is refused; a budget that an accountant refuses.
        FileError, DataError: a data set, or a file of a command, that cannot be read.
    """
    own = [choice for choice in experiment.generators if not is_program(choice.name)]
    runnable, skipped = _runnable(own, experiment)
    for attack in experiment.attacks:
        construct(ATTACKS.get(attack.name), attack.parameters, owner=attack.label)
    skipped += _aimless(experiment)
    programs, unmade = _programs(experiment)
    skipped += unmade
    chosen = _chosen(experiment, tuple(runnable))
    base = Fingerprint(code=code_hash(chosen), libraries=library_versions())
    cells: list[Cell] = []
    for choice in experiment.datasets:
        dataset = load_dataset(choice, experiment.folder)
        metrics, without = _metrics(experiment, dataset)
        skipped += without
        settings = replace(base, data=dataset.sha256)
        makers = [(g, programs.get(g.label)) for g in experiment.generators]
        able = [(g, p) for g, p in makers if p is not None or g in runnable]
        cells += _releases(experiment, choice, able, metrics, settings)
    cells += _audits(experiment, runnable, base)
    return Plan(experiment=experiment, cells=tuple(cells), skipped=tuple(skipped))


def _chosen(
    experiment: Experiment, generators: tuple[Choice, ...]
) -> dict[str, tuple[Choice, ...]]:
    return {
        "generators": generators,
        "metrics": experiment.metrics,
        "attacks": experiment.attacks,
    }


def _runnable(own: list[Choice], experiment: Experiment) -> tuple[list[Choice], list[Skipped]]:
    """Return this package's generators that can run here, and those that cannot."""
    runnable: list[Choice] = []
    skipped: list[Skipped] = []
    for choice in own:
        missing = [m for m in _needs(choice) if not has_module(m)]
        if missing:
            reason = f"{' and '.join(missing)} not installed; install dpsynth[neural]"
            skipped.append(Skipped(title=choice.label, reason=reason))
        else:
            _check_generator(choice, experiment)
            runnable.append(choice)
    return runnable, skipped


def _aimless(experiment: Experiment) -> list[Skipped]:
    """Return what attacks are to run on, and no generator is called."""
    labels = {generator.label for generator in experiment.generators}
    return [
        Skipped(title=f"{attack.label} on {label}", reason="no generator has that label")
        for attack in experiment.attacks
        for label in attack.only or ()
        if label not in labels
    ]


def _programs(experiment: Experiment) -> tuple[dict[str, Program], list[Skipped]]:
    """Return third parties' programs by label, and what is left out of them."""
    programs: dict[str, Program] = {}
    skipped: list[Skipped] = []
    for choice in experiment.generators:
        if not is_program(choice.name):
            continue
        try:
            programs[choice.label] = find_program(choice.name, experiment.folder)
        except ThirdPartyError as error:
            skipped.append(Skipped(title=choice.label, reason=str(error).rstrip(".")))
            continue
        if experiment.audit is not None:
            reason = "its accounts are not seen, so its claim cannot be audited"
            skipped.append(Skipped(title=f"audit {choice.label}", reason=reason))
        skipped += [
            Skipped(title=f"{attack.label} on {choice.label}", reason="it runs a mechanism again")
            for attack in _attacks(experiment, choice)
            if ATTACKS.get(attack.name).needs_refit
        ]
    return programs, skipped


def _attacks(experiment: Experiment, generator: Choice) -> list[Choice]:
    """Return the attacks that are asked for on a generator."""
    return [a for a in experiment.attacks if a.only is None or generator.label in a.only]


def _metrics(
    experiment: Experiment, dataset: "Dataset"
) -> tuple[tuple[Choice, ...], list[Skipped]]:
    """Return the metrics that apply to `dataset`, and those that do not."""
    applicable: list[Choice] = []
    skipped: list[Skipped] = []
    for choice in experiment.metrics:
        if dataset.target is None and predicts(choice):
            title = f"{choice.label} on {dataset.name}"
            skipped.append(Skipped(title=title, reason="the data set has no target to predict"))
        else:
            build_metric(choice, dataset.target)
            applicable.append(choice)
    return tuple(applicable), skipped


def look_at(plan: Plan, store: Store) -> Outlook:
    """Return which cells of `plan` are in `store`, and in what state."""
    groups: dict[str, list[Cell]] = {"finished": [], "failed": [], "damaged": [], "new": []}
    for cell in plan.cells:
        record = store.look(cell.id)
        if record is None:
            groups["damaged" if store.damaged(cell.id) else "new"].append(cell)
        else:
            groups["finished" if record.status == "done" else "failed"].append(cell)
    return Outlook(**{name: tuple(cells) for name, cells in groups.items()})


def run_sweep(
    plan: Plan,
    store: Store,
    *,
    progress: "Progress",
    workers: int | None = None,
    cluster: str | None = None,
    task: Task | None = None,
) -> Stream[Record, None, None]:
    """Run what `store` lacks of `plan`, and yield each record once it is stored.

    A cell that has finished is never computed again; one that failed is tried again.

    Args:
        plan: what to run.
        store: where results are, and go; nobody else writes there meanwhile.
        progress: shows the state of the sweep.
        workers: processes at a time; by default one a core.
        cluster: address of a Dask scheduler whose workers run the cells, in place of this machine.
        task: what is run on each cell; by default `run_cell`.

    Raises:
        FileError: the store cannot be written, another process does, or an imported cell of it is
            of another version of this package; what it holds stays valid.
        InvalidValueError: a generator has the label of imported records.
        MissingExtraError, ClusterError: the cluster cannot be used; likewise.
    """
    with store.locked():
        store.check_imported([g.label for g in plan.experiment.generators])
        outlook = look_at(plan, store)
        skipped = [(s.title, s.reason) for s in plan.skipped]
        store.write_plan(to_plain(plan.experiment), [cell.id for cell in plan.cells], skipped)
        owner = owner_of(store.path)
        remove_abandoned(owner)
        engine = _engine(plan, progress, workers=workers, cluster=cluster, task=task, owner=owner)
        references = store.path.absolute() / "references"
        cells = [replace(cell, cache=references) for cell in outlook.to_run]
        titles = {cell.id: cell.title for cell in plan.cells}
        with progress.showing(total=len(plan.cells), finished=len(outlook.finished)):
            for record in engine.run(cells):
                store.write(record)
                progress.ended(titles[record.cell], record)
                yield record
        store.compact()


def _engine(
    plan: Plan,
    progress: "Progress",
    *,
    workers: int | None,
    cluster: str | None,
    task: Task | None,
    owner: str,
) -> Engine:
    preload = plan.preload if task is None else ()
    limits, task = plan.experiment.limits, task or run_in_process
    if cluster is not None:
        from dpsynth.harness.dask_engine import DaskEngine

        return DaskEngine(
            address=cluster,
            limits=limits,
            preload=preload,
            chosen=plan.chosen,
            task=task,
            owner=owner,
        )
    return LocalEngine(
        workers=workers or cores(),
        limits=limits,
        preload=preload,
        entered=progress.entered,
        task=task,
        owner=owner,
    )


def to_plain(experiment: Experiment) -> dict[str, Any]:
    """Return `experiment` as JSON values, without the folder it was read from."""
    plain = asdict(experiment)
    del plain["folder"]
    return plain


def _needs(choice: Choice) -> tuple[str, ...]:
    """Return the optional modules that a generator cannot do without."""
    cls: type[Generator] = GENERATORS.get(choice.name)
    return cls.requires


def _check_generator(choice: Choice, experiment: Experiment) -> None:
    try:
        generator = build_generator(choice.name, choice.parameters)
        for epsilon, delta in product(experiment.epsilons, experiment.deltas):
            budget = _budget(experiment, epsilon, delta)
            make_accountant(choice.accountant or generator.accountant, budget)
    except DpsynthError as error:
        error.add_note(f"generator {choice.label!r}")
        raise


def _budget(experiment: Experiment, epsilon: float, delta: float) -> Budget:
    return Budget(epsilon=epsilon, delta=delta, relation=experiment.relation)


def _releases(
    experiment: Experiment,
    dataset: DatasetChoice,
    makers: list[tuple[Choice, Program | None]],
    metrics: tuple[Choice, ...],
    fingerprint: Fingerprint,
) -> Iterator[Cell]:
    budgets = product(experiment.epsilons, experiment.deltas)
    for seed, (epsilon, delta), maker in product(experiment.seeds, budgets, makers):
        generator, program = maker
        yield Cell(
            kind="release" if program is None else "third_party",
            dataset=dataset,
            generator=generator,
            epsilon=epsilon,
            delta=delta,
            relation=experiment.relation,
            seed=seed,
            fingerprint=fingerprint,
            metrics=metrics,
            attacks=tuple(
                a
                for a in _attacks(experiment, generator)
                if program is None or not ATTACKS.get(a.name).needs_refit
            ),
            holdout=experiment.holdout,
            program=program,
            folder=experiment.folder,
        )


def _audits(experiment: Experiment, generators: list[Choice], base: Fingerprint) -> Iterator[Cell]:
    if experiment.audit is None:
        return
    budgets = product(experiment.epsilons, experiment.deltas)
    for (epsilon, delta), generator in product(budgets, generators):
        yield Cell(
            kind="audit",
            dataset=None,
            generator=generator,
            epsilon=epsilon,
            delta=delta,
            relation=experiment.relation,
            seed=experiment.seeds[0],
            fingerprint=base,
            audit=experiment.audit,
        )
