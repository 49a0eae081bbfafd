"""Where records are held: files, folders and patterns on the command line, and mistakes in them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dpsynth.data.files import save_file
from tests.cli.running import runner
from tests.tables import coded_table, dependent_codes

SHAPE = (4, 3, 5)
FRONT = ["--schema", "s.toml", "--epsilon", "1", "--generator", "mst", "--seed", "2"]


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command in a folder with records as one file and in two parts."""
    monkeypatch.chdir(tmp_path)
    table = coded_table(dependent_codes(700, SHAPE, rng=np.random.default_rng(0)), SHAPE)
    (tmp_path / "s.toml").write_text(table.schema.to_toml())
    (tmp_path / "parts").mkdir()
    save_file(table, "whole.csv")
    save_file(table.take(np.arange(300)), "parts/a.parquet")
    save_file(table.take(np.arange(300, 700)), "parts/b.csv")
    return runner(capsys)


def test_every_way_to_name_the_records_gives_one_release(say, tmp_path: Path) -> None:
    ways = (["whole.csv"], ["whole.csv", "--out-of-core"], ["parts"], ["parts/*.*"])
    for i, way in enumerate(ways):
        code, said = say("synthesize", *way, *FRONT, "--out", f"{i}.csv")
        assert code == 0, said
        assert "700" not in said.replace("wrote 700 rows", ""), "the exact number of records"
    assert len({(tmp_path / f"{i}.csv").read_bytes() for i in range(len(ways))}) == 1


@pytest.mark.parametrize(
    ("name", "records", "said"),
    [
        ("c.csv", "c0,c1\n1,1\n", "unknown column of the table 'c2'"),
        ("c.csv", "c0,c1,c2,z\n1,1,1,1\n", "unknown column of the schema 'z'"),
        ("c.csv", "c0,c1,c2\n1,1,1\n1,3,1\n", "column 'c1' has 3, but values must lie between 0"),
        ("c.csv", "c0,c1,c2\n1,1,1\n1,x,1\n", "column 'c1' has 'x', but values must be numbers"),
        (
            "c.csv",
            "c0,c1,c2\n1,1,1\n1,1\n",
            "c.csv: record 2 has fewer fields",
        ),
        ("c.parquet", "PAR1", "c.parquet: it is not a Parquet file"),
    ],
)
def test_a_bad_part_is_one_sentence_that_names_it(say, name: str, records: str, said: str) -> None:
    Path("parts", name).write_text(records)
    code, told = say("synthesize", "parts", *FRONT, "--out", "o.csv", "--receipt", "r.json")
    assert code == 2
    assert said in told
    assert name in told
    assert len(told.strip().splitlines()) == 1
    assert not Path("o.csv").exists()
    assert not Path("r.json").exists(), "nothing was spent"


def test_training_on_records_out_of_core_is_one_sentence(say) -> None:
    pytest.importorskip("torch", reason="the neural extra is not installed")
    front = [*FRONT[:4], "--generator", "dpvae", "--out", "o.csv"]
    code, said = say("synthesize", "parts", *front)
    assert code == 2
    assert "the generator 'dpvae' needs the records in memory, but they are in a file" in said


def test_folders_cannot_be_read_into_memory(say) -> None:
    code, said = say("synthesize", "parts", *FRONT, "--out", "o.csv", "--in-memory")
    assert code == 2
    assert "parts" in said
