"""The option --public-table: named in the receipt, and refused where nobody uses it."""

from pathlib import Path

import numpy as np
import pytest

from dpsynth.privacy.receipt import Receipt
from tests.cli.running import runner
from tests.tables import coded_table, dependent_codes

SIZES = (4, 3, 2)


def test_a_public_table_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    codes = dependent_codes(800, SIZES, rng=np.random.default_rng(0))
    private, public = coded_table(codes[:400], SIZES), coded_table(codes[400:], SIZES)
    private.frame.to_csv("private.csv", index=False)
    public.frame.to_csv("open.csv", index=False)
    Path("s.toml").write_text(private.schema.to_toml())
    say = runner(capsys)
    front = ["private.csv", "--schema", "s.toml", "--epsilon", "1", "--out", "o.csv"]
    helped = [*front, "--generator", "public_prior", "--receipt", "r.json"]
    assert say("synthesize", *helped, "--public-table", "open.csv")[0] == 0
    (named,) = Receipt.from_json(Path("r.json").read_text()).unprotected
    assert named.startswith("public table 'open.csv', sha256 ")
    code, said = say("synthesize", *helped, "--public-table", "none.csv")
    assert code == 2
    assert "(of the public table)" in said
    code, said = say("synthesize", *front, "--generator", "mst", "--public-table", "open.csv")
    assert code == 2
    assert "left out for 'mst'" in said
