"""A run that closes its schema first goes on like any other: no column is bought twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

import dpsynth
from dpsynth.archive import read_parts
from dpsynth.curator.journal import Journal
from dpsynth.curator.private_columns import PrivateColumns, _packed, _unpacked
from dpsynth.data.open_columns import OpenNumber, OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import CategoricalColumn, IntegerColumn
from dpsynth.errors import DpsynthError, FileError, InvalidValueError
from dpsynth.generators.limits import Limits
from dpsynth.generators.neural import snapshots
from dpsynth.generators.neural.vae import DpVae
from dpsynth.preparation.prepare import Preparation
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.noise import ReleaseNoise, ResearchNoise
from dpsynth.privacy.receipt import Receipt
from dpsynth.synthesis import Synthesis
from tests.test_checkpoint import Killed, assert_same, dying

STEPS = 6
SMALL = DpVae(steps=STEPS, hidden=4, latent=2)
OPEN = OpenSchema(
    columns=(
        OpenNumber(name="age", whole=True, missing=False, binning="width"),
        OpenNumber(name="pay", whole=False),
        OpenText(name="city"),
        CategoricalColumn(name="sex", categories=("f", "m")),
        IntegerColumn(name="hours", lower=0, upper=99, bins=5),
    )
)
DRAWS = ("gaussian", "laplace", "normal")


def frame(rows: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 900, rows),
            "pay": np.round(rng.gamma(2.0, 1000.0, rows), 2),
            "city": rng.choice(["Oslo", "Rome", "Ulm", "Bern"], rows, p=[0.5, 0.3, 0.1, 0.1]),
            "sex": rng.choice(["f", "m"], rows),
            "hours": rng.integers(0, 99, rows),
        }
    )


FRAME = frame()


def run(path: Path | None, *, seed: int | None = 4, **named: Any) -> Synthesis:
    arguments: dict[str, Any] = {
        "schema": OPEN,
        "generator": SMALL,
        "epsilon": 6.0,
        "delta": 1e-6,
        "seed": seed,
        "data": FRAME,
    }
    return dpsynth.synthesize(checkpoint=path, **(arguments | named))


@pytest.fixture(autouse=True)
def snapshots_of_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_APART", 0.0)
    monkeypatch.setattr(snapshots, "_TIMES", 0.0)


@pytest.fixture(scope="module")
def whole() -> Synthesis:
    return run(None)


def counted(monkeypatch: pytest.MonkeyPatch, cls: type = ReleaseNoise) -> dict[str, int]:
    """Count the draws of noise from now on."""
    counts: dict[str, int] = dict.fromkeys(DRAWS, 0)
    for method in counts:
        inner = getattr(cls, method)

        def told(
            self: Any, *given: Any, method: str = method, inner: Any = inner, **named: Any
        ) -> Any:
            counts[method] += 1
            return inner(self, *given, **named)

        monkeypatch.setattr(cls, method, told)
    return counts


def killed(path: Path, kill: Callable[[pytest.MonkeyPatch], object], **named: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        kill(patch)
        with pytest.raises(Killed):
            run(path, **named)


def test_a_checkpoint_changes_no_bit_and_what_it_holds_is_bought_once(
    whole: Synthesis, tmp_path: Path
) -> None:
    path = tmp_path / "c"
    assert_same(run(path), whole)
    with pytest.MonkeyPatch.context() as patch:
        counts = counted(patch, ResearchNoise)
        assert_same(run(path), whole)
        assert set(counts.values()) == {0}, "the model was kept, and what closes the schema"


def test_the_texts_of_an_answer_are_kept_whole() -> None:
    """NumPy's own arrays of texts end at their last zero."""
    texts = ("a\0", "", "\ud800", "é")
    assert _unpacked(_packed(list(texts))) == texts


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_killed_at_any_draw_it_goes_on_with_the_same_bits(
    times: int, whole: Synthesis, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        counts = counted(patch, ResearchNoise)
        run(None)
    random = np.random.default_rng(times)
    for method, most in counts.items():
        for nth in sorted({1, most, int(random.integers(1, most + 1))}):
            path = tmp_path / f"{method}{nth}"
            for _ in range(times):  # what is drawn after the last answer that was kept, again
                killed(path, lambda patch: dying(patch, ResearchNoise, method, nth))  # noqa: B023
                nth = max(1, nth // 4)  # noqa: PLW2901
            assert_same(run(path), whole)


@pytest.mark.slow
@pytest.mark.parametrize("nth", range(1, 17, 3))
def test_killed_before_a_write_it_goes_on_with_the_same_bits(
    nth: int, whole: Synthesis, tmp_path: Path
) -> None:
    path = tmp_path / "c"
    killed(path, lambda patch: dying(patch, Journal, "_put", nth))
    assert_same(run(path), whole)


@pytest.mark.slow
@pytest.mark.parametrize("at", ["closed", "first step", "fourth step"])
def test_release_mode_buys_nothing_again(at: str, tmp_path: Path) -> None:
    path = tmp_path / "c"
    kills: dict[str, tuple[type, str, int]] = {
        "closed": (PrivateColumns, "private_data", 1),
        "first step": (ReleaseNoise, "normal", 1),
        "fourth step": (ReleaseNoise, "normal", 4),
    }
    schemas = []
    inner = OpenSchema.closed

    def noted(self: OpenSchema, bought: Any) -> Any:
        schemas.append(inner(self, bought))
        return schemas[-1]

    with pytest.MonkeyPatch.context() as outer:
        outer.setattr(OpenSchema, "closed", noted)
        killed(path, lambda patch: dying(patch, *kills[at]), seed=None)
        counts = counted(outer)
        found = run(path, seed=None)
    assert counts["laplace"] == 0
    assert counts["gaussian"] == (1 if at == "closed" else 0) * len(found.schema.columns)
    assert counts["normal"] == {"closed": STEPS, "first step": STEPS, "fourth step": 3}[at]
    assert schemas[0] == schemas[1] == found.schema
    assert schemas[0].to_toml() == schemas[1].to_toml()
    receipt = found.receipt
    labels = [entry.label for entry in receipt.entries]
    assert labels[0].startswith("preparation of 4 columns")
    assert labels[1:] == ["one-way marginals", "dpsgd"], "each charge stands there once"
    assert 5.4 < receipt.epsilon_spent <= 6.0
    assert Receipt.from_json(receipt.to_json()) == receipt
    assert len(Ledger.from_json(receipt.ledger).entries) == 3


def test_another_run_is_refused_before_it_buys_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c"
    killed(path, lambda patch: dying(patch, PrivateColumns, "private_data", 1), relation="replace")
    without = OpenSchema(columns=tuple(c for c in OPEN.columns if c.name != "hours"))
    finer = OpenSchema(columns=(OpenNumber(name="age", whole=True, bins=9), *OPEN.columns[1:]))
    others: list[tuple[dict[str, Any], str]] = [
        ({"schema": without, "data": FRAME.drop(columns="hours")}, "another schema"),
        ({"schema": finer}, "another schema"),
        ({"data": FRAME.assign(hours=FRAME["hours"].astype("int16"))}, "another schema"),
        ({"preparation": Preparation(share=0.2)}, "another preparation"),
        ({"data": FRAME[1:]}, "another public number of records"),
        ({"generator": DpVae(steps=9, hidden=4, latent=2)}, "other parameters"),
        ({"limits": Limits(memory_mb=2000)}, "another limit on memory"),
        ({"seed": 5}, "another seed"),
        ({"epsilon": 2.0}, "another budget"),
    ]
    for method in DRAWS:
        monkeypatch.setattr(ResearchNoise, method, None)
    for other, said in others:
        asked: dict[str, Any] = {"relation": "replace", **other}
        with pytest.raises(FileError, match=said):
            run(path, **asked)


def test_damage_is_seen_before_anything_is_bought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c"
    killed(path, lambda patch: dying(patch, PrivateColumns, "private_data", 1))
    content = path.read_bytes()
    path.write_bytes(content[:99] + bytes([content[99] ^ 1]) + content[100:])
    monkeypatch.setattr(ResearchNoise, "gaussian", None)
    with pytest.raises(FileError, match="damaged"):
        run(path)


def test_the_file_holds_answers_alone(tmp_path: Path) -> None:
    path = tmp_path / "c"
    killed(path, lambda patch: dying(patch, ReleaseNoise, "normal", 1), seed=None)
    parts = read_parts(path)
    assert "noise.json" not in parts
    assert {name.split("/")[0] for name in parts} == {"manifest.json", "answers.json", "arrays"}
    # 600 different numbers of records, of which no answer shows one that is not noisy
    text = b" ".join(parts.values())
    assert sum(repr(float(pay)).encode() in text for pay in FRAME["pay"].unique()) < 5


def test_units_with_rows_to_be_sampled_are_refused(tmp_path: Path) -> None:
    schema = OpenSchema(columns=OPEN.columns[:1], settings={"max_rows_per_unit": 2, "unit": "who"})
    data = FRAME[["age"]].assign(who=np.arange(len(FRAME)) // 2)
    with pytest.raises(DpsynthError, match="one row a unit"):
        run(tmp_path / "c", schema=schema, data=data)


@pytest.mark.parametrize(
    "named",
    [
        {"generator": "independent"},
        {"generator": "mst", "accountant": "pld"},
        {"accountant": "zcdp"},
    ],
)
def test_what_has_no_plan_with_a_part_for_columns_is_refused(
    named: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(InvalidValueError, match="of open schemas"):
        run(tmp_path / "c", **named)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("where", [(PrivateColumns, "private_data"), (ResearchNoise, "normal")])
def test_of_units_with_several_rows_the_same_one_is_kept(
    where: tuple[type, str], tmp_path: Path
) -> None:
    """One row of each is drawn before anything is kept, and once more for every door."""
    named: dict[str, Any] = {
        "schema": OpenSchema(
            columns=OPEN.columns, settings={"unit": "who", "max_rows_per_unit": 1}
        ),
        "data": FRAME.assign(who=np.arange(len(FRAME)) // 2),
    }
    path = tmp_path / "c"
    killed(path, lambda patch: dying(patch, *where, 1), **named)
    assert_same(run(path, **named), run(None, **named))
