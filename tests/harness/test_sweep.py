"""Sweeps resume: nothing that finished is lost or computed again, whatever stopped the last one."""

import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpsynth.errors import DataError, FileError, InvalidValueError, UnknownNameError
from dpsynth.harness.cell import run_cell
from dpsynth.harness.config import Experiment
from dpsynth.harness.progress import Progress
from dpsynth.harness.store import Store, read
from dpsynth.harness.sweep import Plan, look_at, make_plan, run_sweep
from tests.harness.misbehaving import behave
from tests.harness.processes import wait_until_gone
from tests.tables import coded_table, dependent_codes

TOYS = "tests.harness.toy_generators"
PATIENCE = 300.0  # seconds, on a machine with other work


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    table = coded_table(dependent_codes(400, (4, 3), rng=np.random.default_rng(0)), (4, 3))
    table.frame.to_csv(tmp_path / "data.csv", index=False)
    (tmp_path / "schema.toml").write_text(table.schema.to_toml())
    return tmp_path


def plan(folder: Path, *lines: str, generators: str = f'["{TOYS}:Toy"]') -> Plan:
    path = folder / "experiment.toml"
    path.write_text(
        "\n".join(
            [
                'name = "x"',
                'datasets = [{name = "mine", path = "data.csv", schema = "schema.toml"}]',
                f"generators = {generators}",
                *(lines or ("epsilons = [1, 2]", "seeds = 2")),
            ]
        )
    )
    return make_plan(Experiment.load(path))


def sweep(wanted: Plan, folder: Path, **options: object) -> list[str]:
    progress = Progress(io.StringIO())
    records = run_sweep(wanted, Store(folder / "out"), progress=progress, **options)  # pyright: ignore[reportArgumentType]
    return [record.cell for record in records]


def test_the_plan_is_the_product(folder: Path) -> None:
    wanted = plan(folder, "epsilons = [1, 2, 4]", "deltas = [1e-9, 1e-6]", "seeds = 5", "[audit]")
    kinds = [cell.kind for cell in wanted.cells]
    assert kinds.count("release") == 3 * 2 * 5
    assert kinds.count("audit") == 3 * 2
    assert len({cell.id for cell in wanted.cells}) == len(kinds)


def test_a_plan_is_checked_before_anything_runs(folder: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown parameter of .*Toy 'flor'; did you mean"):
        plan(folder, generators=f'[{{name = "{TOYS}:Toy", flor = 1}}]')
    with pytest.raises(InvalidValueError, match="floor is -1"):
        plan(folder, generators=f'[{{name = "{TOYS}:Toy", floor = -1}}]')
    with pytest.raises(InvalidValueError, match="floor is 'a', but it must be a number"):
        plan(folder, generators=f'[{{name = "{TOYS}:Toy", floor = "a"}}]')
    with pytest.raises(InvalidValueError, match=r"delta is 0\.0"):
        plan(folder, "epsilons = [1]", "deltas = [0]")
    (folder / "data.csv").unlink()
    with pytest.raises(FileError, match=r"data\.csv"):
        plan(folder)


def test_what_cannot_run_here_is_left_out_with_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.harness.toy_generators import Hanging

    monkeypatch.setattr(Hanging, "requires", ("no_such_library",))
    wanted = plan(folder, generators=f'["{TOYS}:Toy", {{name = "{TOYS}:Hanging", label = "h"}}]')
    assert {cell.generator.name for cell in wanted.cells} == {f"{TOYS}:Toy"}
    assert [(s.title, s.reason) for s in wanted.skipped] == [
        ("h", "no_such_library not installed; install dpsynth[neural]")
    ]


def test_a_metric_without_its_target_is_left_out(folder: Path) -> None:
    metrics = 'metrics = ["tvd_1way", "tstr_auc"]'
    wanted = plan(folder, "epsilons = [1]", metrics)
    assert [m.name for m in wanted.cells[0].metrics] == ["tvd_1way"]
    assert [s.title for s in wanted.skipped] == ["tstr_auc on mine"]


def test_an_attack_on_a_label_that_nobody_has_is_told(folder: Path) -> None:
    attack = f'{{name = "linkability", only = ["{TOYS}:Toy", "Toy"]}}'
    wanted = plan(folder, "epsilons = [1]", f"attacks = [{attack}]")
    assert [a.name for a in wanted.cells[0].attacks] == ["linkability"]
    assert [s.title for s in wanted.skipped] == ["linkability on Toy"]


def test_the_same_cell_gives_the_same_rows(folder: Path) -> None:
    cell, other = plan(folder, "epsilons = [1]", 'metrics = ["tvd_2way"]', "seeds = 2").cells
    first, second = run_cell(cell), run_cell(cell)
    assert first == second
    assert first.rows
    assert {row.mode for row in first.rows} == {"research"}
    assert [r.value for r in run_cell(other).rows] != [r.value for r in first.rows]


def test_records_that_changed_since_the_plan_are_refused(folder: Path) -> None:
    (cell,) = plan(folder, "epsilons = [1]", "seeds = 1").cells
    lines = (folder / "data.csv").read_text().splitlines()
    (folder / "data.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(DataError, match="planned with records of checksum"):
        run_cell(cell)


def test_a_kept_reference_equals_a_computed_one(folder: Path) -> None:
    from dataclasses import replace

    (cell,) = plan(folder, "epsilons = [1]", 'metrics = ["tvd_2way"]', "seeds = 1").cells
    kept = replace(cell, cache=folder / "references")
    computed = run_cell(cell)
    assert run_cell(kept) == computed
    (file,) = (folder / "references").iterdir()
    assert run_cell(kept) == computed
    file.write_bytes(file.read_bytes()[:20])
    assert run_cell(kept) == computed


@pytest.mark.slow
class TestResume:
    def test_finished_cells_are_never_computed_again(self, folder: Path) -> None:
        wanted = plan(folder)
        assert len(sweep(wanted, folder, task=behave)) == 4
        assert sweep(wanted, folder, task=behave) == []
        more = plan(folder, "epsilons = [1, 2]", "seeds = 3")
        assert len(sweep(more, folder, task=behave)) == 2

    def test_a_failed_cell_is_tried_again(self, folder: Path) -> None:
        wanted = plan(folder, generators=f'["{TOYS}:Overspending"]')
        first, second = sweep(wanted, folder), sweep(wanted, folder)
        assert sorted(first) == sorted(second)
        frame = read(folder / "out")
        assert set(frame["status"]) == {"privacy_error"}
        assert frame["error"].str.contains("is left of the budget").all()

    def test_a_cut_cell_is_redone_and_the_others_are_not(self, folder: Path) -> None:
        wanted, store = plan(folder), Store(folder / "out")
        sweep(wanted, folder, task=behave)
        victim = store.path / "cells" / f"{wanted.cells[2].id}.json"
        victim.write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])
        assert look_at(wanted, store).damaged == (wanted.cells[2],)
        assert sweep(wanted, folder, task=behave) == [wanted.cells[2].id]
        assert look_at(wanted, store).finished == wanted.cells

    def test_a_full_disk_stops_the_sweep_and_keeps_what_is_there(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted, store = plan(folder), Store(folder / "out")
        real, calls = os.fsync, iter(range(100))

        def full_after_four(handle: int) -> None:
            if next(calls) >= 4:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(handle)

        monkeypatch.setattr(os, "fsync", full_after_four)
        with pytest.raises(FileError, match="No space left on device"):
            sweep(wanted, folder, task=behave)
        monkeypatch.undo()
        finished = look_at(wanted, store).finished
        assert len(finished) == 2  # after the two files of the plan
        assert len(sweep(wanted, folder, task=behave)) == 2

    def test_broken_generators_become_rows_and_the_sweep_goes_on(self, folder: Path) -> None:
        frames = []
        # The first need time on a busy machine, and for imports; what hangs wastes all that it has.
        for names, seconds in ((("Crashing", "Overspending", "Toy"), 60), (("Hanging",), 6)):
            lines = ("epsilons = [1]", 'metrics = ["tvd_1way"]')
            limits = ("[limits]", f"timeout_seconds = {seconds}")
            listed = ", ".join(f'"{TOYS}:{name}"' for name in names)
            sweep(plan(folder, *lines, *limits, generators=f"[{listed}]"), folder)
            frames.append(read(folder / "out"))
            shutil.rmtree(folder / "out")
        frame = pd.concat(frames, ignore_index=True)
        status = frame.groupby("generator")["status"].first().to_dict()
        assert status == {
            f"{TOYS}:Crashing": "crash",
            f"{TOYS}:Hanging": "timeout",
            f"{TOYS}:Overspending": "privacy_error",
            f"{TOYS}:Toy": "done",
        }
        assert set(frame.loc[frame["status"] != "done", "phase"]) == {"fit"}
        assert frame.loc[frame["kind"] == "utility", "epsilon_spent"].between(0.99, 1.0).all()
        assert frame.filter(like="claim_").notna().all(axis=None)
        said = frame.groupby("generator")["claim_guarantee"].first().astype(str)
        assert "differential privacy; epsilon 1 was spent" in said[f"{TOYS}:Toy"]
        assert said.drop(f"{TOYS}:Toy").str.endswith("failed and released nothing").all()


@pytest.mark.slow
class TestInterrupted:
    """The parent of a running sweep is stopped from outside, and the command is given again."""

    @pytest.fixture
    def marks(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        (folder / "marks").mkdir()
        monkeypatch.setenv("DPSYNTH_TEST_MARKS", str(folder / "marks"))
        yield folder / "marks"
        shutil.rmtree(folder / "marks")

    def start(self, folder: Path) -> subprocess.Popen[str]:
        code = (
            # A shell's background job ignores SIGINT, and so would every child of it.
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
            "import sys; from pathlib import Path; from tests.harness import test_sweep as t;"
            "from tests.harness.misbehaving import halting; folder = Path(sys.argv[1]);"
            "lines = ('epsilons = [' + ', '.join(str(e) for e in range(1, 9)) + ']', 'seeds = 1');"
            "print(t.sweep(t.plan(folder, *lines), folder, task=halting, workers=2))"
        )
        return subprocess.Popen(
            [sys.executable, "-c", code, str(folder)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
    def test_resumes(self, folder: Path, marks: Path, how: signal.Signals) -> None:
        cells = folder / "out" / "cells"
        with self.start(folder) as process:
            deadline = time.monotonic() + PATIENCE
            while len(list(cells.glob("*.json"))) < 3 and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(how)
            try:
                process.wait(timeout=PATIENCE)
            finally:
                process.kill()
        assert wait_until_gone(f"DPSYNTH_TEST_MARKS={marks}", seconds=PATIENCE) == []
        finished = {p.name: p.stat().st_mtime_ns for p in cells.glob("*.json")}
        assert 3 <= len(finished) <= 4
        started = len(list(marks.iterdir()))

        (folder / "go").touch()
        with self.start(folder) as again:
            try:
                output, errors = again.communicate(timeout=PATIENCE)
            finally:
                again.kill()
        assert again.returncode == 0, errors
        assert output.count("', '") + 1 == 8 - len(finished)
        assert len(list(marks.iterdir())) - started == 8 - len(finished)
        for name, changed in finished.items():
            assert (cells / name).stat().st_mtime_ns == changed
        assert len(read(folder / "out").query("kind == 'utility'")) == 8

    def test_the_rows_are_those_of_an_undisturbed_run(self, folder: Path, marks: Path) -> None:
        wanted = plan(folder, "epsilons = [1, 2, 4]", 'metrics = ["tvd_1way"]', "seeds = 1")
        stopped = run_sweep(wanted, Store(folder / "out"), progress=Progress(sys.stderr), workers=1)
        next(iter(stopped))
        stopped.close()
        sweep(wanted, folder)
        shutil.move(folder / "out", folder / "first")
        sweep(wanted, folder)
        first, second = read(folder / "first"), read(folder / "out")
        pd.testing.assert_frame_equal(
            first[first["kind"] != "run"], second[second["kind"] != "run"]
        )
