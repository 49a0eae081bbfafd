"""The two doors of the data owner, Python and the command line, and what went through them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dpsynth
from dpsynth.data.schema import Schema
from dpsynth.errors import DpsynthError
from dpsynth.privacy.ledger import Ledger
from tests.cli.running import runner

LONGEST_SENTENCE = 600


def counted_charges(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which every charge and every reserved plan, of any ledger, adds its name."""
    charges: list[str] = []

    def watched(whole: Callable[..., Any]) -> Callable[..., Any]:
        def told(ledger: Ledger, *arguments: Any, **named: Any) -> Any:
            charges.append(whole.__name__)
            return whole(ledger, *arguments, **named)

        return told

    for method in (Ledger.charge, Ledger.reserve):
        monkeypatch.setattr(Ledger, method.__name__, watched(method))
    return charges


class Doors:
    """Both doors of one folder; each says what it makes of the same records and schema."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(folder)
        self.folder, self.run = folder, runner(capsys)
        self.charges = counted_charges(monkeypatch)

    def refuse(self, data: str, schema: Schema | str, said: str) -> str:
        """Check that both doors refuse `data` in the same sentence, and spend and leave nothing."""
        text = schema if isinstance(schema, str) else schema.to_toml()
        (self.folder / "s.toml").write_text(text, encoding="utf-8")
        before = sorted(self.folder.iterdir())
        with pytest.raises(DpsynthError) as refusal:
            dpsynth.synthesize(data, schema="s.toml", generator="independent", epsilon=1.0)
        notes = "".join(f" ({note})" for note in getattr(refusal.value, "__notes__", ()))
        sentence = check_sentence(refusal.value, said)
        code, complaint = self.run(*self._arguments(data))
        assert (code, complaint) == (2, f"dpsynth: {sentence}{notes}\n")
        assert self.charges == [], "no budget is spent"
        assert sorted(self.folder.iterdir()) == before, "nothing is written"
        return sentence

    def refuse_in_blocks(self, data: str, sentence: str) -> None:
        """Check that the records of `refuse` are refused in its sentence out of memory, too."""
        with pytest.raises(DpsynthError) as refusal:
            dpsynth.synthesize(
                data, schema="s.toml", generator="independent", epsilon=1.0, out_of_core=True
            )
        assert str(refusal.value) == sentence
        assert self.charges == [], "no budget is spent"

    def take(self, data: str, schema: Schema) -> None:
        """Check that both doors make synthetic records of `data`, and charge for them."""
        (self.folder / "s.toml").write_text(schema.to_toml(), encoding="utf-8")
        made = dpsynth.synthesize(data, schema="s.toml", generator="independent", epsilon=1.0)
        assert made.sample(3).schema.columns == schema.columns
        spent = len(self.charges)
        assert spent > 0
        code, complaint = self.run(*self._arguments(data), "--rows", "3")
        assert code == 0, complaint
        assert len(self.charges) == 2 * spent
        assert (self.folder / "o.csv").is_file()

    def _arguments(self, data: str) -> list[str]:
        front = ["synthesize", data, "--schema", "s.toml", "--generator", "independent"]
        return [*front, "--epsilon", "1", "--out", "o.csv", "--receipt", "r.json"]


def check_sentence(error: DpsynthError, said: str = "") -> str:
    """Return the sentence of an error that is one: a line, not long, without insides."""
    sentence = str(error)
    assert said in sentence
    assert sentence.isprintable(), "one line"
    assert len(sentence) <= LONGEST_SENTENCE
    for inside in (" at 0x", "pandas.", "pyarrow", "Traceback"):
        assert inside not in sentence
    return sentence
