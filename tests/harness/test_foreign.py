"""Cells of someone else's programs: planned, run, judged like others, or a row that says why not.

The programs run in this interpreter, so that nothing is installed.
"""

import sys
from hashlib import sha256
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from dpsynth.errors import DpsynthError
from dpsynth.harness.cell import Cell, run_cell
from dpsynth.harness.config import Experiment, Limits
from dpsynth.harness.engine import LocalEngine
from dpsynth.harness.programs import find_program
from dpsynth.harness.progress import Progress
from dpsynth.harness.row import Row
from dpsynth.harness.store import UNVERIFIED, Record, Store, read
from dpsynth.harness.sweep import Plan, look_at, make_plan, run_sweep
from dpsynth.report.html import write_report
from dpsynth.third_party import catalogue
from tests.tables import coded_table, dependent_codes
from tests.third_party.adapters import CODES, CRASH, adapter
from tests.third_party.test_process import gone, wait_for

TABLE = coded_table(dependent_codes(400, (4, 3), rng=np.random.default_rng(0)), (4, 3))
EXPERIMENT = """
name = "x"
datasets = [{{name = "mine", path = "data.csv", schema = "schema.toml"}}]
generators = [{generators}]
epsilons = [1]
metrics = ["tvd_1way", "tvd_2way"]
attacks = ["linkability", {{name = "membership", shadows = 8, releases = 4, rows = 20}}]
{more}
"""
THEIRS = f'{{command = "{sys.executable} theirs.py", label = "theirs", degree = 3}}'


def written(folder: Path, generators: str, *, more: str = "") -> Experiment:
    """Return the experiment of these generators, written to `folder` with its data."""
    TABLE.frame.to_csv(folder / "data.csv", index=False)
    (folder / "schema.toml").write_text(TABLE.schema.to_toml())
    path = folder / "experiment.toml"
    path.write_text(EXPERIMENT.format(generators=generators, more=more))
    return Experiment.load(path)


def planned(folder: Path, code: str, *, more: str = "", generators: str = THEIRS) -> Plan:
    (folder / "theirs.py").write_text(code)
    return make_plan(written(folder, generators, more=more))


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a third party "toy" whose environment is this interpreter's."""
    folder = tmp_path / "peers" / "toy"
    folder.mkdir(parents=True)
    (folder / "adapter.py").write_text(adapter(CODES))
    (folder / "requirements.txt").write_text("toy==1\n")
    (folder / "peer.toml").write_text('pythons = ["3.11"]\nmechanisms = ["copy"]\nremark = ""\n')
    monkeypatch.setattr(catalogue, "PEERS", folder.parent)
    monkeypatch.setenv("DPSYNTH_ENVIRONMENTS", str(tmp_path / "environments"))
    return folder


def make_ready(toy: Path) -> None:
    environment = catalogue.find_peer("toy").environment()
    (environment.home / "bin").mkdir(parents=True, exist_ok=True)
    environment.python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    environment.python.chmod(0o755)
    (environment.home / ".made-from").write_text(environment._pins)


def by_metric(rows: tuple[Row, ...]) -> dict[str, Row]:
    return {row.metric: row for row in rows}


def test_its_release_is_judged_on_the_split_of_the_experiment(tmp_path: Path) -> None:
    both = planned(tmp_path, adapter(CODES), generators=f'"independent", {THEIRS}')
    own, theirs = both.cells
    assert (own.kind, theirs.kind) == ("release", "third_party")
    rows, ours = by_metric(run_cell(theirs).rows), by_metric(run_cell(own).rows)
    for metric in ("tvd_1way", "tvd_2way"):
        assert rows[metric].value == 0.0  # a copy of the training records
        assert rows[metric].identity == ours[metric].identity
        # They are of as many records as each returned: ours does not know how many there are.
        assert rows[metric].holdout == pytest.approx(ours[metric].holdout, rel=0.05)
        assert rows[metric].independent == pytest.approx(ours[metric].independent, rel=0.05)
    assert "linkability" in rows
    assert ("membership" in rows, "membership" in ours) == (False, True)
    assert {row.mode for row in rows.values()} == {UNVERIFIED}
    assert {row.versions for row in rows.values()} == {"toy 1.2"}
    assert {row.epsilon_spent for row in rows.values()} == {None}
    assert rows["epsilon it says it spent"].value == 1.0
    assert rows["seconds by its own count"].value == 0.5
    assert rows["records returned"].value == 200.0
    assert (rows["peak_rss_mb of the program"].value or 0) > 30


def test_records_that_changed_since_the_plan_are_refused(tmp_path: Path) -> None:
    """The program is not even started: its folder would hold the wrong records."""
    (cell,) = planned(tmp_path, f"open({str(tmp_path / 'began')!r}, 'w')\n" + adapter(CODES)).cells
    TABLE.frame.iloc[::-1].to_csv(tmp_path / "data.csv", index=False)
    with pytest.raises(DpsynthError, match="planned with records of checksum"):
        run_cell(cell)
    assert not (tmp_path / "began").exists()


def test_a_program_that_changed_since_the_plan_is_refused(tmp_path: Path, toy: Path) -> None:
    make_ready(toy)
    own, peer = planned(tmp_path, adapter(CODES), generators=f'{THEIRS}, "env:toy/copy"').cells
    for cell, file in ((own, tmp_path / "theirs.py"), (peer, toy / "adapter.py")):
        before = run_cell(cell)
        file.write_text(adapter(CODES) + "# changed\n")
        with pytest.raises(DpsynthError, match="planned with other files"):
            run_cell(cell)
        file.write_text(adapter(CODES))
        assert by_metric(run_cell(cell).rows)["tvd_2way"] == by_metric(before.rows)["tvd_2way"]


def test_what_is_not_run_on_it_is_told(tmp_path: Path) -> None:
    plan = planned(tmp_path, adapter(CODES), more="[audit]\nruns = 100")
    assert [cell.kind for cell in plan.cells] == ["third_party"]
    assert [s.title for s in plan.skipped] == ["audit theirs", "membership on theirs"]


def test_its_identity_is_that_of_its_files(tmp_path: Path, toy: Path) -> None:
    make_ready(toy)

    def identity(generators: str) -> str:
        (cell,) = planned(tmp_path, (tmp_path / "code").read_text(), generators=generators).cells
        return cell.id

    (tmp_path / "code").write_text(adapter(CODES))
    command, peer = identity(THEIRS), identity('"env:toy/copy"')
    assert identity(THEIRS) == command
    assert identity('{name = "env:toy/copy", degree = 2}') != peer
    (tmp_path / "code").write_text(adapter(CODES) + "# changed\n")
    assert identity(THEIRS) != command
    assert identity('"env:toy/copy"') == peer
    (toy / "adapter.py").write_text(adapter(CODES) + "# changed\n")
    changed = identity('"env:toy/copy"')
    assert changed != peer
    (toy / "requirements.txt").write_text("toy==2\n")
    make_ready(toy)
    assert identity('"env:toy/copy"') not in (peer, changed)


def test_a_third_partys_adapter_runs_in_its_environment(tmp_path: Path, toy: Path) -> None:
    experiment = written(tmp_path, '"env:toy/copy"')
    plan = make_plan(experiment)
    assert plan.cells == ()
    assert [(s.title, s.reason) for s in plan.skipped] == [
        ("toy/copy", "environment toy: not made; `dpsynth env create toy` makes it")
    ]
    make_ready(toy)
    (cell,) = make_plan(experiment).cells
    assert set(find_program("env:toy/copy", tmp_path).files) == {"adapter.py", "requirements.txt"}
    assert by_metric(run_cell(cell).rows)["tvd_2way"].value == 0.0
    (toy / "requirements.txt").write_text("toy==2\n")
    assert "made from other pins" in make_plan(experiment).skipped[0].reason


def failed(cell: Cell, *, limits: Limits) -> Record:
    (record,) = LocalEngine(workers=1, limits=limits).run([cell])
    return record


@pytest.mark.slow
def test_a_crash_and_a_hang_are_rows_with_what_was_said(tmp_path: Path) -> None:
    (cell,) = planned(tmp_path, CRASH).cells
    record = failed(cell, limits=Limits())
    assert (record.status, record.phase) == ("error", "fit")
    assert "RuntimeError: no such mechanism" in (record.error or "")
    assert "loading" in (record.traceback or "")
    assert {row.mode for row in record.rows} == {UNVERIFIED}
    noted = tmp_path / "pid"
    hang = f"import os, time; open({str(noted)!r}, 'w').write(str(os.getpid()))\n"
    (cell,) = planned(tmp_path, hang + "print('one moment', flush=True); time.sleep(600)").cells
    record = failed(cell, limits=Limits(timeout_seconds=8.0))
    assert (record.status, record.phase) == ("timeout", "fit")
    assert "one moment" in (record.traceback or "")
    pid = int(noted.read_text())
    wait_for(lambda: gone(pid))


@pytest.mark.slow
def test_a_program_that_grows_is_stopped_at_the_limit_of_memory(tmp_path: Path) -> None:
    grow = "x = []\nwhile True:\n    x.append(bytearray(2**24)); import time; time.sleep(0.05)"
    (cell,) = planned(tmp_path, grow).cells
    record = failed(cell, limits=Limits(memory_mb=700.0, timeout_seconds=60.0))
    assert record.status == "out_of_memory"


@pytest.mark.slow
def test_a_sweep_keeps_it_and_its_report_marks_it(tmp_path: Path) -> None:
    plan, store = planned(tmp_path, adapter(CODES)), Store(tmp_path / "store")
    records = list(run_sweep(plan, store, progress=Progress(StringIO()), workers=1))
    assert [record.status for record in records] == ["done"]
    assert len(look_at(plan, store).finished) == 1
    assert set(read(store.path)["versions"].dropna()) == {"toy 1.2"}
    page = write_report(store.path, tmp_path / "report").read_text(encoding="utf-8")
    assert "<b>Claim not verified:</b> 1 of the cells" in page
    assert "theirs (not verified)" in page


@pytest.mark.parametrize(
    ("generators", "said"),
    [
        ('"env:dpm/mst"', "did you mean 'dpmm'"),
        ('"env:dpmm"', "mechanism of dpmm ''"),
        ('"env:dpmm/mts"', "did you mean 'mst'"),
        ('"env:dpmm/mst/x"', "mechanism of dpmm 'mst/x'"),
        ('"env:"', "unknown third party ''"),
        ('"env:../x/mst"', "unknown third party"),
        ('{command = ""}', "a program and its words"),
        ('{command = "a \'b"}', "a program and its words"),
        ("{command = 3}", "a text"),
        ('{command = "x", name = "mst"}', "left out beside a command"),
        ('{command = "x", accountant = "gdp"}', "keeps its own accounts"),
        ('{name = "env:dpmm/mst", preparation = {share = 0.1}}', "keeps its own accounts"),
        ('{command = "x", when = 2026-01-01}', "x: when is 2026-01-01"),
        ('{command = "x", share = nan}', "JSON has a word for"),
        ('{command = "x"}, {command = "x"}', "without repetition"),
        ('{command = "python missing.py"}', "no such file"),
        ('{command = "./missing arg"}', "cannot be read"),
        ('"command"', "unknown generator 'command'"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, generators: str, said: str) -> None:
    with pytest.raises(DpsynthError) as error:
        make_plan(written(tmp_path, generators))
    assert said in str(error.value)


def test_an_imported_cell_of_another_version_is_refused_at_the_beginning(tmp_path: Path) -> None:
    plan, store = planned(tmp_path, adapter(CODES)), Store(tmp_path / "store")
    (cell,) = plan.cells
    row = cell.row(kind="utility", metric="m", value=1.0)
    settings = {"kind": "import"}
    old = Record(cell="a" * 64, settings=settings, status="done", rows=(row,))
    store.write_imported(old)
    file = store.path / "cells" / f"{'a' * 64}.json"
    body = file.read_bytes()[len('{"sha256":"') + 64 + len('","body":') : -2]
    later = body.replace(b'"metric"', b'"measure"')
    digest = sha256(later).hexdigest().encode()
    file.write_bytes(b'{"sha256":"' + digest + b'","body":' + later + b"}\n")
    sweep = run_sweep(plan, store, progress=Progress(StringIO()))
    with pytest.raises(DpsynthError, match="another version of dpsynth"):
        next(sweep)
    assert not (store.path / "plan.json").exists()
    assert store.read_cell(cell.id) is None
