"""Cells on two real workers on loopback: the rows of a local sweep, also when a worker is killed.

The processes are this module's own; it ends no others.
"""

import io
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpsynth.errors import ClusterError, MissingExtraError
from dpsynth.harness.cell import Cell, Fingerprint
from dpsynth.harness.config import Experiment, Limits
from dpsynth.harness.dask_engine import DaskEngine
from dpsynth.harness.fingerprint import code_hash, library_versions
from dpsynth.harness.progress import Progress
from dpsynth.harness.store import Store, read
from dpsynth.harness.sweep import make_plan, run_sweep
from dpsynth.harness.worker import Task
from tests.dask_cluster import Cluster, running, wait_for
from tests.harness.cells import make_cell
from tests.harness.faulty import MARKS, MEMORY_MB, STATUS, attempts, fate, faulty
from tests.harness.misbehaving import deadly, endless, lingering
from tests.harness.processes import alive, wait_until_gone
from tests.tables import coded_table, dependent_codes

distributed = pytest.importorskip("distributed", reason="dask is not installed")
pytestmark = [pytest.mark.slow]
HERE = Fingerprint(code=code_hash({}), libraries=library_versions(), data="d")
EXPERIMENT = """
name = "x"
datasets = [{name = "mine", path = "data.csv", schema = "schema.toml"}]
generators = ["tests.harness.toy_generators:Toy", "independent"]
epsilons = [1, 2]
seeds = 2
metrics = ["tvd_1way"]
"""


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("dask")
    (folder / "marks").mkdir()
    allowed = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}  # by default 3
    with running(folder, **{MARKS: str(folder / "marks")}, **allowed) as found:
        yield found
    assert wait_until_gone(f"{MARKS}={folder}", seconds=30) == []


@pytest.fixture
def dask(processes: Cluster) -> Cluster:
    processes.have_workers(2)
    for mark in marks_of(processes).iterdir():
        mark.unlink()
    return processes


def marks_of(cluster: Cluster) -> Path:
    return cluster.folder / "marks"


def engine(address: str, task: Task, **limits: float) -> DaskEngine:
    return DaskEngine(address=address, limits=Limits(**limits), chosen={}, task=task)


def cells_of(count: int, generator: str = "ok") -> list[Cell]:
    return [make_cell(generator, seed=i, fingerprint=HERE) for i in range(count)]


def test_rows_are_those_of_a_local_sweep(dask: Cluster, tmp_path: Path) -> None:
    table = coded_table(dependent_codes(400, (4, 3), rng=np.random.default_rng(0)), (4, 3))
    table.frame.to_csv(tmp_path / "data.csv", index=False)
    (tmp_path / "schema.toml").write_text(table.schema.to_toml())
    (tmp_path / "experiment.toml").write_text(EXPERIMENT)
    plan = make_plan(Experiment.load(tmp_path / "experiment.toml"))
    frames = []
    for name, where in (("local", None), ("cluster", dask.address)):
        store = Store(tmp_path / name)
        found = run_sweep(plan, store, progress=Progress(io.StringIO()), workers=1, cluster=where)
        assert [r.error for r in found] == [None] * len(plan.cells)
        rows = read(store.path)
        frames.append(rows[rows["kind"] == "utility"].reset_index(drop=True))
        again = run_sweep(plan, store, progress=Progress(io.StringIO()), cluster=where)
        assert list(again) == []
    pd.testing.assert_frame_equal(*frames)


def test_faults_are_records_and_the_workers_live_on(dask: Cluster) -> None:
    many = cells_of(600)
    cells = [c for f in STATUS for c in [c for c in many if fate(c.seed, 0) == f][:2]]
    fates = {cell.id: fate(cell.seed, 0) for cell in cells}
    assert set(fates.values()) == set(STATUS)
    records = {}
    for hanging, seconds in ((True, 3.0), (False, 60.0)):  # those that hang waste all of it
        able = engine(dask.address, faulty, timeout_seconds=seconds, memory_mb=MEMORY_MB)
        these = [cell for cell in cells if (fates[cell.id] == "hang") == hanging]
        records |= {record.cell: record for record in able.run(these)}
    assert {c: r.status for c, r in records.items()} == {c: STATUS[f] for c, f in fates.items()}
    assert {attempts(marks_of(dask), cell.id) for cell in cells} == {1}
    assert [worker.poll() for worker in dask.workers] == [None, None]


def test_a_killed_worker_has_its_cells_redone_elsewhere_once(dask: Cluster) -> None:
    cells = cells_of(9)
    records = engine(dask.address, lingering).run(cells)
    found = list(islice(records, 3))
    begun = Counter(attempts(marks_of(dask), cell.id) for cell in cells)
    dask.workers[0].kill()
    dask.workers[0].wait()
    found += records
    assert Counter(record.status for record in found) == {"done": 9}
    assert len({record.cell for record in found}) == 9
    assert begun[0] > 0, "some cells had not begun"
    repeated = Counter(attempts(marks_of(dask), cell.id) for cell in cells)
    assert set(repeated) <= {1, 2}
    assert repeated[2] <= 2, "what ran on the worker that was killed, and what it had sent for"


def test_a_cell_that_kills_its_workers_is_a_row_and_takes_no_other_with_it(
    dask: Cluster, tmp_path: Path
) -> None:
    """Two workers are lost over it, since the scheduler allows for one; the third has the rest."""
    dask.have_workers(3)
    deadly_cell = make_cell("deadly", fingerprint=HERE)
    cells = [deadly_cell, *cells_of(12)]
    store = Store(tmp_path / "out")
    store.write_plan({}, [cell.id for cell in cells], [])
    for found in engine(dask.address, deadly).run(cells):
        store.write(found)
    assert Counter(r.status for r in store.records()) == {"done": 12, "crash": 1}
    record = store.read_cell(deadly_cell.id)
    assert record is not None
    assert record.error == "several workers in a row were lost over this cell"
    rows = read(store.path).query("generator == 'deadly'")
    assert rows["status"].unique().tolist() == ["crash"]
    assert rows.filter(like="claim_").notna().all(axis=None)
    assert attempts(marks_of(dask), deadly_cell.id) == 2
    for worker in dask.workers:
        worker.poll()
    assert [worker.returncode for worker in dask.workers].count(-signal.SIGKILL) == 2


def test_a_worker_under_a_nanny_has_cells_and_none_waits_on_it(dask: Cluster) -> None:
    """The nanny starts its worker again, twice: any cell that waited there would be held to have
    ended it as often as the one that did, and the scheduler allows for one loss."""
    for worker in dask.workers:
        worker.kill()
        worker.wait()
    dask.workers.clear()
    dask.add_worker("--nanny")
    dask.have_workers(1)
    deadly_cell, other = make_cell("deadly", fingerprint=HERE), *cells_of(1)
    records = engine(dask.address, deadly, timeout_seconds=60.0).run([deadly_cell, other])
    assert {r.cell: r.status for r in records} == {deadly_cell.id: "crash", other.id: "done"}
    assert [attempts(marks_of(dask), cell.id) for cell in (deadly_cell, other)] == [2, 1]
    dask.workers[0].send_signal(signal.SIGTERM)  # so that the nanny ends its worker
    dask.workers[0].wait(timeout=60)


@pytest.mark.parametrize("code", ["other", None])
def test_other_code_or_libraries_are_one_sentence(dask: Cluster, code: str | None) -> None:
    libraries = HERE.libraries if code else {**HERE.libraries, "numpy": "1.0"}
    cell = make_cell(fingerprint=Fingerprint(code=code or HERE.code, libraries=libraries, data="d"))
    said = "other code than the sweep" if code else "numpy .* the sweep was planned with 1.0"
    with pytest.raises(ClusterError, match=said):
        list(engine(dask.address, faulty).run([cell]))
    assert attempts(marks_of(dask), cell.id) == 0


def test_cells_end_when_the_asking_process_is_killed(dask: Cluster, tmp_path: Path) -> None:
    marks = marks_of(dask)
    code = (
        "import sys; from tests.harness import test_dask_engine as t; from tests.harness.faulty "
        "import *; from tests.harness.misbehaving import endless;"
        "list(t.engine(sys.argv[1], endless).run(t.cells_of(2, 'kept')))"
    )
    asking = subprocess.Popen([sys.executable, "-c", code, dask.address])
    try:
        wait_for(lambda: len(list(marks.iterdir())) == 2, dask.folder)
    finally:
        asking.kill()
        asking.wait()
    running = {int(mark.suffix[1:]) for mark in marks.iterdir()}
    wait_for(lambda: not running & set(alive(f"{MARKS}={dask.folder}")), dask.folder)
    assert [worker.poll() for worker in dask.workers] == [None, None]


def test_leaving_early_ends_the_cells(dask: Cluster) -> None:
    marks = marks_of(dask)
    cells = [*cells_of(1), *cells_of(3, "kept")]
    # A client that a failure left open would keep this process from its end.
    with closing(engine(dask.address, endless).run(cells)) as running:
        assert next(running).status == "done"
        wait_for(lambda: len(list(marks.iterdir())) >= 2, dask.folder)
    begun = {int(mark.suffix[1:]) for mark in marks.iterdir()}
    wait_for(lambda: not begun & set(alive(f"{MARKS}={dask.folder}")), dask.folder)


def test_no_scheduler_no_address_and_no_dask_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dpsynth.curator import cluster

    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    with pytest.raises(ClusterError, match="no scheduler answers"):
        list(engine("tcp://127.0.0.1:9", faulty).run(cells_of(1)))
    with pytest.raises(ClusterError, match="no address"):
        list(engine("nonsense://", faulty).run(cells_of(1)))
    assert list(engine("tcp://127.0.0.1:9", faulty).run([])) == []
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"install dpsynth\[dask\]"):
        list(engine("tcp://127.0.0.1:9", faulty).run(cells_of(1)))
