"""Linked tables from the command line, and a long table whose identifier bounds it."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from dpsynth.data.schema import IntegerColumn, Schema
from tests.cli.running import runner
from tests.linked.panels import EVENTS, UNITS, panel


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    return runner(capsys)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    people, visits = panel(200)
    people.to_csv(tmp_path / "people.csv", index=False)
    visits.to_csv(tmp_path / "visits.csv", index=False)
    gap = Schema(columns=(IntegerColumn(name="gap", lower=1, upper=30, on_invalid="clip"),))
    for name, schema in (("events", EVENTS), ("units", UNITS), ("gap", gap)):
        (tmp_path / f"{name}.toml").write_text(schema.to_toml())
    names = ("people.csv", "visits.csv", "events.toml", "units.toml", "gap.toml", "out.csv")
    more = ("units.csv", "model.zip", "receipt.json", "again.csv")
    return {name: str(tmp_path / name) for name in (*names, *more)}


def test_events_and_units_are_written_with_valid_keys(
    run: Callable[..., tuple[int, str]], files: dict[str, str]
) -> None:
    code, said = run(
        *("synthesize-linked", files["visits.csv"], "--units", files["people.csv"]),
        *("--events-schema", files["events.toml"], "--units-schema", files["units.toml"]),
        *("--gap-schema", files["gap.toml"], "--time", "day", "--max-events", "6"),
        *("--epsilon", "2", "--seed", "1", "--out", files["out.csv"]),
        *("--out-units", files["units.csv"], "--model", files["model.zip"]),
        *("--receipt", files["receipt.json"]),
    )
    assert code == 0, said
    assert "per patient with all its events" in said
    assert "NOT for release" in said
    events, units = pd.read_csv(files["out.csv"]), pd.read_csv(files["units.csv"])
    assert units["patient"].is_unique
    assert set(events["patient"]) <= set(units["patient"])
    assert (events.groupby("patient")["day"].diff().dropna() >= 1).all()
    assert '"unit":"patient"' in Path(files["receipt.json"]).read_text()
    code, said = run("sample-linked", files["model.zip"], "--out", files["again.csv"])
    assert code == 0, said
    assert Path(files["again.csv"]).read_bytes() == Path(files["out.csv"]).read_bytes()
    code, said = run(
        *("sample-linked", files["model.zip"], "--out", files["again.csv"]),
        *("--rows", "20", "--seed", "5"),
    )
    assert code == 0
    assert " of 20 units " in said


def test_a_long_table_needs_no_other(
    run: Callable[..., tuple[int, str]], files: dict[str, str]
) -> None:
    code, said = run(
        *("synthesize-linked", files["visits.csv"], "--events-schema", files["events.toml"]),
        *("--max-events", "6", "--epsilon", "1", "--out", files["out.csv"]),
    )
    assert code == 0, said
    assert "release." not in said


def test_one_table_with_an_identifier_is_bounded_by_it(
    run: Callable[..., tuple[int, str]], files: dict[str, str]
) -> None:
    code, said = run(
        *("synthesize", files["visits.csv"], "--schema", files["events.toml"]),
        *("--epsilon", "1", "--out", files["out.csv"]),
    )
    assert code == 0, said
    assert "per patient" in said
    assert pd.read_csv(files["out.csv"]).columns.tolist() == ["day", "ward", "dose"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("--max-events", "1"), "max_events must be"),
        (("--time", "dya"), "did you mean 'day'"),
        (("--generator", "privbayes"), "conditioned on the past"),
        (("--gap-schema", "events.toml"), "gap is of the kind of its time"),
        (("--units-share", "1"), "units_share is 1.0"),
        (("--out-units", "units.txt"), "must end in .csv or .parquet"),
        (("--rows", "0"), "at least 1"),
        (("--units", "people.csv"), "no columns of units"),
    ],
)
def test_mistakes_are_one_sentence(
    run: Callable[..., tuple[int, str]], files: dict[str, str], change: tuple[str, str], said: str
) -> None:
    arguments = {"--max-events": "6", "--time": "day", "--epsilon": "1", "--out": files["out.csv"]}
    arguments |= {"--events-schema": files["events.toml"], change[0]: change[1]}
    arguments = {k: files.get(v, v) for k, v in arguments.items()}
    flat = [word for pair in arguments.items() for word in pair]
    code, heard = run("synthesize-linked", files["visits.csv"], *flat)
    assert code == 2
    assert said in heard
    assert not Path(files["out.csv"]).exists()


def test_the_default_accountant_is_shown_and_seeds_say_the_same(
    run: Callable[..., tuple[int, str]],
) -> None:
    said = " ".join(run("synthesize-linked", "--help")[1].split())
    assert "[default: gdp]" in said
    for verb in ("sample", "sample-linked", "counterfactual"):
        said = " ".join(run(verb, "--help")[1].split())
        assert "By default the model's own in research mode, else fresh." in said


def test_a_guarantee_is_said_rounded_up(
    run: Callable[..., tuple[int, str]], files: dict[str, str]
) -> None:
    code, said = run(
        *("synthesize-linked", files["visits.csv"], "--units", files["people.csv"]),
        *("--events-schema", files["events.toml"], "--units-schema", files["units.toml"]),
        *("--gap-schema", files["gap.toml"], "--time", "day", "--max-events", "6"),
        *("--epsilon", "0.3333333333", "--seed", "1", "--out", files["out.csv"]),
    )
    assert code == 0, said
    assert ": (0.333334, 1e-09)-differentially private, add_remove, per patient with" in said
