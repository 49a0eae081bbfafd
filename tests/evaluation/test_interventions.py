"""Effects of interventions under a user's graph: adjusted, compared, and refused where unsaid."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.schema import CategoricalColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.evaluation.conformance import Subject, examine
from dpsynth.evaluation.evaluate import evaluate
from dpsynth.evaluation.interventions import InterventionalTvd
from tests.cli.running import runner
from tests.evaluation.laws import draw

SCHEMA = Schema(columns=tuple(CategoricalColumn(name=c, categories=(0, 1)) for c in "zxy"))
CONFOUNDED = InterventionalTvd(graph={"x": ("z",), "y": ("x", "z")})
OF_THE_LAW = InterventionalTvd(
    graph={"income": ("region",), "work": ("region",), "ill": ("income",), "visits": ("ill",)}
)


def treated(n: int, effect: float, *, rng: np.random.Generator) -> Table:
    """Return records in which z raises both x and y, and x raises y by `effect`."""
    z = rng.random(n) < 0.5
    x = rng.random(n) < np.where(z, 0.8, 0.2)
    y = rng.random(n) < 0.2 + 0.4 * z + effect * x
    return Table.from_frame(SCHEMA, pd.DataFrame({"z": z, "x": x, "y": y}).astype(int))


def test_it_is_the_distance_of_adjusted_laws() -> None:
    """By hand: z and x on y. do(z) needs no adjustment, do(x) does."""
    rng = np.random.default_rng(0)
    real, made = treated(4000, 0.3, rng=rng), treated(3000, 0.0, rng=rng)
    laws = []
    for table in (real, made):
        frame = table.frame.astype(int)
        share = frame["z"].value_counts(normalize=True)
        x, y = (frame.groupby("z")[c].mean() for c in "xy")
        adjusted = frame.groupby(["x", "z"])["y"].mean().unstack()
        laws.append((x, y, (adjusted * share).sum(axis=1)))
    weights = [real.frame[c].value_counts(normalize=True).sort_index() for c in "zzx"]
    apart = [abs(first - second) for first, second in zip(*laws, strict=True)]
    by_hand = np.mean([float((a * w).sum()) for a, w in zip(apart, weights, strict=True)])
    found = CONFOUNDED(real, made, rng=rng)
    assert found.value == pytest.approx(by_hand)
    assert found.lower < found.value < found.upper


def test_a_lost_effect_counts_and_a_confounded_share_does_not() -> None:
    """Of two tables with the same P(y | x), the one with the real effect of x is nearer."""
    rng = np.random.default_rng(1)
    graph = InterventionalTvd(graph={"x": ("z",), "y": ("x", "z")})
    real = treated(20_000, 0.3, rng=rng)
    same = graph(real, treated(20_000, 0.3, rng=rng), rng=rng)
    codes = treated(20_000, 0.3, rng=rng).frame
    # y no longer knows of z, and has its law given x: what is left of the effect is confounded.
    for value in (0, 1):
        mask = codes["x"] == value
        codes.loc[mask, "y"] = rng.permutation(codes.loc[mask, "y"].to_numpy())
    lost = graph(real, Table.from_frame(SCHEMA, codes), rng=rng)
    assert same.upper < 0.01
    assert lost.lower > 0.05


def test_what_the_synthetic_table_lacks_is_wrong_altogether() -> None:
    rng = np.random.default_rng(2)
    real = treated(2000, 0.3, rng=rng)
    alone = InterventionalTvd(graph={"y": ("x",)})
    untreated = real.take(np.flatnonzero(real.frame["x"].to_numpy() == 0))
    treated_share = float((real.frame["x"] == 1).mean())
    assert alone(real, untreated, rng=rng).value == pytest.approx(treated_share)
    assert alone(real, real, rng=rng).value == pytest.approx(0.0)


def test_it_does_what_every_metric_must() -> None:
    failures = examine(Subject.of(OF_THE_LAW))
    # The one check whose tables have other columns than the graph.
    assert set(failures) == {"constant_columns"}
    assert "UnknownNameError" in failures["constant_columns"]


def test_it_has_references_and_an_identity_of_its_graph() -> None:
    rng = np.random.default_rng(3)
    train, holdout, made = (draw(n, rng=rng) for n in (1500, 700, 1500))
    (found,) = evaluate(train, holdout, made, metrics=[OF_THE_LAW], rng=rng)
    assert found.value < found.independent
    assert abs(found.value - found.holdout) < found.holdout_upper - found.holdout_lower
    turned = InterventionalTvd(graph=dict(reversed([*OF_THE_LAW.graph.items()])))
    assert turned.identity == OF_THE_LAW.identity


@pytest.mark.parametrize(
    ("graph", "sentence"),
    [({}, "arrow"), ({"y": ()}, "arrow"), ({"x": ("y",), "y": ("x",)}, "cycle")],
)
def test_graphs_that_say_nothing_are_refused(
    graph: dict[str, tuple[str, ...]], sentence: str
) -> None:
    with pytest.raises(InvalidValueError, match=sentence):
        InterventionalTvd(graph=graph)


def test_unknown_columns_are_refused() -> None:
    table = treated(20, 0.3, rng=np.random.default_rng(4))
    with pytest.raises(UnknownNameError, match="'w'"):
        InterventionalTvd(graph={"w": ("z",)})(table, table, rng=np.random.default_rng(0))


def test_the_verb_evaluate_takes_a_graph(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, rng = runner(capsys), np.random.default_rng(5)
    for name, rows in (("real.csv", 400), ("made.csv", 300)):
        treated(rows, 0.3, rng=rng).frame.to_csv(tmp_path / name, index=False)
    (tmp_path / "s.toml").write_text(SCHEMA.to_toml())
    (tmp_path / "g.toml").write_text('x = ["z"]\ny = ["x", "z"]\n')
    real, made, schema, graph = (
        str(tmp_path / f) for f in ("real.csv", "made.csv", "s.toml", "g.toml")
    )
    words = ["evaluate", real, made, "--schema", schema, "--graph", graph]
    code, said = run(*words, "--metric", "tvd_1way")
    assert code == 0
    assert "interventional_tvd" in said
    code, said = run(*words, "--private", "--epsilon", "1")
    assert code == 2
    assert "--graph" in said
