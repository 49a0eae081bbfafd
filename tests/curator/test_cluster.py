"""A real scheduler and two real workers on loopback: the counts of memory, also when one is killed.

The processes are this module's own; it ends no others.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.curator import cluster, raw_cluster
from dpsynth.curator.blocks import BlockCounter
from dpsynth.curator.cluster import ClusterBlocks, clustered
from dpsynth.curator.counting import CellCounter
from dpsynth.curator.merging import Merging
from dpsynth.curator.raw_cluster import raw_blocks as read_on_worker
from dpsynth.data.columns import FloatColumn
from dpsynth.data.encoding import Codec
from dpsynth.data.files import save_file
from dpsynth.data.open_columns import OpenNumber, OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.parts import part_paths
from dpsynth.data.table import Table
from dpsynth.errors import ClusterError, DataError, FileError, InvalidValueError
from tests.dask_cluster import PATIENCE, Cluster, running, wait_for
from tests.doors import counted_charges
from tests.tables import coded_schema, coded_table, dependent_codes

cloudpickle = pytest.importorskip("cloudpickle", reason="dask is not installed")
distributed = pytest.importorskip("distributed", reason="dask is not installed")
pytestmark = [pytest.mark.slow]

SIZES = (4, 3, 6, 2, 5)
PARTS = 8


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("dask")) as found:
        yield found


@pytest.fixture
def dask(processes: Cluster) -> Cluster:
    """The cluster with two living workers."""
    processes.have_workers(2)
    return processes


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, Path]:
    """A table, and a folder that holds it in parts of unequal size, one of which has no records."""
    rng = np.random.default_rng(5)
    table = coded_table(dependent_codes(4000, SIZES, rng=rng), SIZES)
    folder = tmp_path_factory.mktemp("records")
    cuts = [0, *sorted(rng.choice(np.arange(1, 4000), PARTS - 1, replace=False)), 4000]
    for i, (start, end) in enumerate(pairwise(cuts)):
        save_file(table.take(np.arange(start, end)), folder / f"{i}.parquet")
    table.frame[:0].to_parquet(folder / "none.parquet", index=False)
    return table, folder


def memory_of(table: Table) -> CellCounter:
    codec = Codec(schema=table.schema)
    return CellCounter(codec.encode(table), codec.domain)


def all_cliques(table: Table) -> list[tuple[str, ...]]:
    names = table.schema.names
    return [c for k in (1, 2, 3) for c in combinations(names, k)]


def test_counts_are_those_of_memory(dask: Cluster, records: tuple[Table, Path]) -> None:
    table, folder = records
    memory, cliques = memory_of(table), all_cliques(table)
    with clustered(part_paths(folder), table.schema, dask.address) as stored:
        counter = BlockCounter(stored.blocks, table.schema.domain)
        assert counter.rows == 4000
        assert str(4000) not in repr(stored)
        for clique, counted in zip(cliques, counter.count_together(cliques), strict=True):
            assert np.array_equal(counted, memory.counts(clique))
        tables = Merging(groups={"c2": (0, 0, 1, 1, 2, 0)}).tables(memory.domain)
        view, views = memory.recoded(tables), counter.recoded(tables)
        assert np.array_equal(
            views.counts(("c2 (groups)", "c0")), view.counts(("c2 (groups)", "c0"))
        )


def test_a_worker_killed_within_a_pass_loses_nothing(
    dask: Cluster, records: tuple[Table, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, folder = records
    memory, cliques = memory_of(table), all_cliques(table)
    done, finished = distributed.as_completed, list[int]()

    def killing(futures: Any, **options: Any) -> Iterator[Any]:
        """Kill a worker when the first part has come back; the others are still to be counted."""
        for i, future in enumerate(done(futures, **options)):
            if i == 0:
                kill_and_open(dask.workers[0], tmp_path)
            finished.append(i)
            yield future

    monkeypatch.setattr(cluster, "counts_of", first_of(tmp_path, cluster.counts_of))
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not know this module
    with clustered(part_paths(folder), table.schema, dask.address) as stored:
        assert isinstance(stored.blocks, ClusterBlocks)
        client = stored.blocks._client
        held = {worker: len(keys) for worker, keys in client.has_what().items()}
        assert len(held) == 2
        assert min(held.values()) > 0, "a worker held nothing, so that its loss would be no test"
        monkeypatch.setattr(distributed, "as_completed", killing)
        counter = BlockCounter(stored.blocks, table.schema.domain)
        counts = counter.count_together(cliques)
        wait_for(lambda: len(client.scheduler_info()["workers"]) == 1, dask.folder)
    assert finished == list(range(PARTS + 1))
    for clique, counted in zip(cliques, counts, strict=True):
        assert np.array_equal(counted, memory.counts(clique))


def first_of(gate: Path, task: Callable[..., Any]) -> Callable[..., Any]:
    """Return a task that waits, but in the first worker that begins it, until the gate opens."""

    def waiting(*held: Any, **arguments: Any) -> Any:
        try:
            (gate / "first").touch(exist_ok=False)
        except FileExistsError:
            while not (gate / "open").exists():
                sleep(0.02)
        return task(*held, **arguments)

    return waiting


def kill_and_open(worker: subprocess.Popen[bytes], gate: Path) -> None:
    worker.send_signal(signal.SIGKILL)
    worker.wait(timeout=PATIENCE)
    (gate / "open").touch()


def test_a_fit_survives_a_worker_killed_half_way(
    dask: Cluster, records: tuple[Table, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    table, folder = records
    memory = dpsynth.synthesize(table, generator="mst", epsilon=1.0, seed=7)
    tally, passes = ClusterBlocks.tally, list[int]()

    def killing(self: ClusterBlocks, *arguments: Any) -> Any:
        passes.append(len(dask.workers))
        if len(passes) == 2:  # the one-way marginals are bought, the pairs are to be counted
            dask.workers[1].send_signal(signal.SIGKILL)
        return tally(self, *arguments)

    monkeypatch.setattr(ClusterBlocks, "tally", killing)
    fit = dpsynth.synthesize(
        folder, schema=table.schema, generator="mst", epsilon=1.0, seed=7, cluster=dask.address
    )
    assert len(passes) >= 2
    assert dask.workers[1].wait(timeout=PATIENCE) == -signal.SIGKILL
    assert fit.receipt.to_json() == memory.receipt.to_json()
    pd.testing.assert_frame_equal(fit.sample(999).frame, memory.sample(999).frame, check_exact=True)


OPEN = OpenSchema(
    columns=(
        OpenText(name="city", missing=False),
        OpenNumber(name="visits", whole=True),
        OpenNumber(name="pay", whole=False),
        FloatColumn(name="share", lower=0, upper=1),
    )
)


def open_records(folder: Path) -> None:
    """Write records in one file (all.csv) and in parts (parts/)."""
    rng = np.random.default_rng(6)
    frame = pd.DataFrame(
        {
            "city": rng.choice(["Rome", "Oslo", "Bonn"], 4000),
            "visits": rng.poisson(3, 4000) * 100,
            "pay": rng.lognormal(6, 1, 4000),
            "share": rng.random(4000),
        }
    )
    frame.to_csv(folder / "all.csv", index=False)
    (folder / "parts").mkdir()
    for i in range(PARTS):
        frame[500 * i : 500 * (i + 1)].to_parquet(folder / "parts" / f"{i}.parquet", index=False)


def test_an_open_schema_is_closed_as_in_memory_though_a_worker_is_killed(
    dask: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_records(tmp_path)
    options: dict[str, Any] = {"generator": "mst", "epsilon": 1.0, "seed": 7}
    memory = dpsynth.synthesize(tmp_path / "all.csv", schema=OPEN, **options)
    done, finished = distributed.as_completed, list[int]()

    def killing(futures: Any, **more: Any) -> Iterator[Any]:
        """Kill a worker when the raw columns of the first part have come back."""
        for i, future in enumerate(done(futures, **more)):
            if not finished:
                kill_and_open(dask.workers[0], tmp_path)
            finished.append(i)
            yield future

    monkeypatch.setattr(raw_cluster, "raw_blocks", first_of(tmp_path, read_on_worker))
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(distributed, "as_completed", killing)
    fit = dpsynth.synthesize(tmp_path / "parts", schema=OPEN, cluster=dask.address, **options)
    assert finished[:PARTS] == list(range(PARTS)), "a part was added twice, or not at all"
    assert "bounds of pay" in [entry.label for entry in fit.receipt.entries]
    assert fit.receipt.to_json() == memory.receipt.to_json()
    assert fit.schema.to_toml() == memory.schema.to_toml()
    pd.testing.assert_frame_equal(fit.sample(999).frame, memory.sample(999).frame, check_exact=True)


def test_records_that_do_not_fit_an_open_schema_are_refused_before_anything_is_spent(
    dask: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    charges = counted_charges(monkeypatch)
    open_records(tmp_path)
    wrong = pd.DataFrame({"city": ["Rome"], "visits": [1], "pay": [np.inf], "share": [0.5]})
    wrong.to_parquet(tmp_path / "parts" / "9.parquet", index=False)
    with pytest.raises(DataError, match="must be finite") as caught:
        dpsynth.synthesize(tmp_path / "parts", schema=OPEN, epsilon=1.0, cluster=dask.address)
    assert caught.value.__notes__ == [f"in {tmp_path / 'parts' / '9.parquet'}"]
    assert charges == []
    part = next(cluster._parts(tmp_path / "parts" / "0.parquet"))
    os.utime(part.path)
    with pytest.raises(FileError, match="it changed while its records were counted"):
        read_on_worker(part, OPEN)


def test_mistakes_are_one_sentence(
    dask: Cluster, records: tuple[Table, Path], tmp_path: Path
) -> None:
    table, folder = records
    address = dask.address
    save_file(coded_table(np.full((3, 1), 2), (3,)), tmp_path / "a.parquet")
    with (
        pytest.raises(DataError, match="values must lie between 0 and 1") as caught,
        clustered([tmp_path / "a.parquet"], coded_schema((2,)), address),
    ):
        pass
    assert caught.value.__notes__ == [f"in {tmp_path / 'a.parquet'}"]
    with (
        pytest.raises(InvalidValueError, match=r"ends in '\.parquet'"),
        clustered([tmp_path / "a.csv"], coded_schema((2,)), address),
    ):
        pass
    with (
        pytest.raises(FileError, match="no such file"),
        clustered([tmp_path / "none.parquet"], coded_schema((2,)), address),
    ):
        pass
    with clustered(part_paths(folder), table.schema, address) as stored:
        blocks = stored.blocks
        assert isinstance(blocks, ClusterBlocks)
        part = next(cluster._parts(folder / "0.parquet"))
        os.utime(part.path)
        with pytest.raises(FileError, match="it changed while its records were counted"):
            blocks._client.submit(cluster.encoded, part, table.schema).result()


def test_a_cluster_that_is_not_there_is_one_sentence(
    records: tuple[Table, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    table, folder = records
    with pytest.raises(ClusterError, match="no scheduler answers there"):
        dpsynth.synthesize(folder, schema=table.schema, epsilon=1.0, cluster="tcp://127.0.0.1:9")
    with pytest.raises(ClusterError, match="this is no address of a scheduler"):
        dpsynth.synthesize(folder, schema=table.schema, epsilon=1.0, cluster="tpc://127.0.0.1:9")
    with pytest.raises(InvalidValueError, match="left out unless the records are in files"):
        dpsynth.synthesize(table, epsilon=1.0, cluster="tcp://127.0.0.1:9")
    with pytest.raises(InvalidValueError, match="left out with a cluster"):
        dpsynth.synthesize(
            folder, schema=table.schema, epsilon=1.0, cluster="tcp://127.0.0.1:9", out_of_core=False
        )


def test_a_part_that_kills_workers_is_one_sentence(
    dask: Cluster, records: tuple[Table, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    table, folder = records
    with clustered(part_paths(folder), table.schema, dask.address) as stored:

        def killed(*futures: Any, **options: Any) -> Any:
            raise distributed.scheduler.KilledWorker("counts", "tcp://127.0.0.1:1", 3)

        monkeypatch.setattr(distributed, "as_completed", killed)
        with pytest.raises(ClusterError, match="lost over the same part"):
            BlockCounter(stored.blocks, table.schema.domain).counts(("c0",))


def test_a_lost_scheduler_is_one_sentence(
    dask: Cluster, records: tuple[Table, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test of the module: it ends the scheduler."""
    table, folder = records
    with clustered(part_paths(folder), table.schema, dask.address) as stored:
        blocks = stored.blocks
        assert isinstance(blocks, ClusterBlocks)
        monkeypatch.setattr(blocks._client, "_timeout", 2.0)  # to connect again, by default 20
        counter = BlockCounter(blocks, table.schema.domain)
        dask.scheduler.kill()
        dask.scheduler.wait(timeout=PATIENCE)
        with pytest.raises(ClusterError, match="the scheduler was lost"):
            counter.counts(("c0",))
