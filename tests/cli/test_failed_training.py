"""A training run that diverges: one sentence, and the receipt of what it spent all the same."""

from pathlib import Path

import numpy as np
import pytest

from dpsynth.privacy.receipt import Receipt
from tests.cli.running import runner
from tests.tables import coded_table, dependent_codes

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

SHAPE = (4, 3, 2)


def test_the_receipt_of_a_run_that_diverged_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table = coded_table(dependent_codes(200, SHAPE, rng=np.random.default_rng(0)), SHAPE)
    table.frame.to_csv("r.csv", index=False)
    Path("s.toml").write_text(table.schema.to_toml())
    code, said = runner(capsys)(
        *("synthesize", "r.csv", "--schema", "s.toml", "--generator", "dpvae", "--epsilon", "1"),
        *("--set", "learning_rate=1e30", "--set", "steps=5", "--seed", "0"),
        *("--out", "o.csv", "--receipt", "receipt.json"),
    )
    assert code == 2
    assert "not a finite number" in said
    assert "the receipt is receipt.json" in said
    receipt = Receipt.from_json(Path("receipt.json").read_text())
    assert 0.99 < receipt.epsilon_spent <= 1
    assert not Path("o.csv").exists()
