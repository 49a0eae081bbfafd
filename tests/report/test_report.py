# pyright: reportArgumentType=false
"""The report: means and intervals by hand, corrected alarms, one page from a store."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from jinja2 import Environment, PackageLoader
from matplotlib.collections import LineCollection

from dpsynth.harness.row import Row
from dpsynth.harness.store import Record, Store, to_frame
from dpsynth.report.figures import utility_figure
from dpsynth.report.html import write_report
from dpsynth.report.summary import (
    Interval,
    deltas_apart,
    exposures,
    over_seeds,
    utility,
    verdicts,
)
from dpsynth.report.tables import Grid, attack_grid, utility_grid

BASE = {
    "cell": "c",
    "dataset": "toy",
    "delta": 1e-9,
    "relation": "add_remove",
    "lower": 0.0,
    "upper": 1.0,
}


def score(generator: str, epsilon: float, seed: int, value: float) -> Row:
    return Row(
        **BASE,
        generator=generator,
        epsilon=epsilon,
        seed=seed,
        kind="utility",
        metric="tvd_1way",
        value=value,
        holdout=0.15,
        independent=0.3,
        higher_is_better=False,
    )


def attack(generator: str, seed: int, p_value: float) -> Row:
    rates = {f"{n}_{p}": 0.5 for n in ("attack", "baseline", "control") for p in ("rate",)}
    return Row(
        **BASE,
        generator=generator,
        epsilon=1.0,
        seed=seed,
        kind="attack",
        metric="membership",
        value=0.0,
        p_value=p_value,
        **rates,
    )


def audit(violated: bool) -> Row:
    return Row(
        **BASE,
        generator="mst",
        epsilon=1.0,
        seed=0,
        kind="audit",
        metric="claim",
        value=0.2,
        epsilon_claimed=1.0,
        epsilon_lower=0.2,
        epsilon_largest_measurable=5.6,
        mu_lower=0.1,
        smallest_detectable_inflation=1.5,
        runs=1000,
        violated=violated,
    )


def test_every_page_has_the_style_that_fits_tables_to_paper() -> None:
    loader, environment = PackageLoader("dpsynth.report"), Environment()
    sources = {n: loader.get_source(environment, n)[0] for n in loader.list_templates()}
    assert "@media print" in sources["style.html.j2"]
    pages = {name for name, source in sources.items() if source.startswith("<!doctype")}
    assert {"attacks.html.j2", "report.html.j2", "leaderboard.html.j2"} <= pages
    for name in pages:
        assert '{% include "style.html.j2" %}' in sources[name], name


def test_the_mean_over_seeds_has_students_interval() -> None:
    found = over_seeds(np.array([1.0, 2.0, 3.0]))
    half = 4.302652729911275 / math.sqrt(3)  # t quantile of 2 degrees of freedom
    assert found.value == 2.0
    assert found.lower == pytest.approx(2 - half)
    assert found.upper == pytest.approx(2 + half)


def test_points_keep_their_references_and_see_what_passes_the_holdout() -> None:
    points = utility(
        to_frame([score("a", 1, 0, 0.2), score("a", 1, 1, 0.4), score("a", 2, 0, 0.1)])
    )
    assert [p.score.value for p in points] == pytest.approx([0.3, 0.1])
    assert [p.passes_holdout for p in points] == [False, True]
    grid = utility_grid(points, "toy", "tvd_1way")
    assert grid.header == ("generator", "1", "2")
    assert grid.rows[1] == ("real hold-out, same size", "0.150", "0.150")


def test_alarms_are_corrected_for_seeds_and_for_their_number() -> None:
    rows = [attack(g, s, p) for g, p in (("a", 0.03), ("b", 1e-6), ("c", 0.02)) for s in (0, 1)]
    found = {e.generator: e for e in exposures(to_frame(rows))}
    assert found["a"].p_value == pytest.approx(0.06)
    assert not found["a"].alarm
    assert found["b"].alarm
    # .04 over two seeds would do alone, and does not as the second of three.
    assert found["c"].p_value == pytest.approx(0.04)
    assert not found["c"].alarm


def test_no_mean_is_over_two_data_sets() -> None:
    rows = [replace(attack("a", 0, p), dataset=d, value=p) for d, p in (("d", 0.1), ("e", 0.5))]
    found = exposures(to_frame(rows))
    assert [(e.dataset, e.risk.value, e.risk.seeds) for e in found] == [
        ("d", 0.1, 1),
        ("e", 0.5, 1),
    ]
    assert [row[0] for row in attack_grid(found).rows] == ["d", "e"]


def test_no_mean_is_over_two_guarantees() -> None:
    rows = [replace(score("a", 1, 0, v), delta=d) for d, v in ((1e-9, 0.4), (1e-6, 0.2))]
    assert deltas_apart(to_frame(rows[:1]))["generator"].tolist() == ["a"]
    points = utility(deltas_apart(to_frame(rows)))
    assert {p.generator: p.score.value for p in points} == {
        "a, delta 1e-09": 0.4,
        "a, delta 1e-06": 0.2,
    }


def test_every_generator_has_a_look_of_its_own() -> None:
    points = [p for i in range(20) for p in utility(to_frame([score(f"g{i:02}", 1, 0, 0.1 + i)]))]
    lines = [
        line for line in utility_figure(points, "toy").axes[0].lines if line.get_marker() != "None"
    ]
    assert len(lines) == 20
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 20


def test_a_figure_of_one_budget_shows_intervals_beside_one_another() -> None:
    points = [p for g in "ab" for p in utility(to_frame([score(g, 2, 0, 0.2)]))]
    axis = utility_figure(points, "toy").axes[0]
    ends = [c.get_segments()[0] for c in axis.collections if isinstance(c, LineCollection)]
    assert [(end[0][1], end[1][1]) for end in ends] == [(0.0, 1.0)] * 2
    assert ends[0][0][0] < 2 < ends[1][0][0]


def test_nothing_below_zero_by_less_than_is_shown_has_a_sign() -> None:
    found = Interval(value=-0.0001, lower=-0.02, upper=-0.0004, seeds=3)
    assert found.text() == "0.000 [-0.020, 0.000]"


@pytest.mark.parametrize("seeds", [1, 3])
def test_runs_that_agree_have_the_interval_of_one(seeds: int) -> None:
    ends = {"lower": 0.0, "upper": 0.07, "attack_lower": 0.0, "attack_upper": 0.09}
    rows = [replace(attack("a", s, 1.0), attack_rate=0.0, **ends) for s in range(seeds)]
    (found,) = exposures(to_frame(rows))
    assert (found.risk.lower, found.risk.upper) == pytest.approx((0.0, 0.07))
    assert (found.rate.lower, found.rate.upper) == pytest.approx((0.0, 0.09))
    (point,) = utility(to_frame([score("a", 1, s, 0.25) for s in range(seeds)]))
    assert (point.score.lower, point.score.upper, point.score.seeds) == (0.0, 1.0, seeds)


@pytest.mark.parametrize("metrics", [1, 3])
@pytest.mark.parametrize(
    "generators",
    [["a"], ["independent", "mst"], ["a", "env:smartnoise/patectgan (not verified)"] * 4],
)
def test_a_legend_stays_on_its_figure(metrics: int, generators: list[str]) -> None:
    rows = [
        replace(score(f"{name}{i}", e, 0, 0.1 + i), metric=f"m{m}")
        for i, name in enumerate(generators)
        for m in range(metrics)
        for e in (1, 2)
    ]
    figure = utility_figure(utility(to_frame(rows)), "toy")
    figure.draw_without_rendering()
    legend, whole = figure.legends[0].get_window_extent(), figure.bbox
    assert whole.x0 <= legend.x0 <= legend.x1 <= whole.x1
    assert whole.y0 <= legend.y0 <= legend.y1 <= whole.y1
    panel = figure.axes[0].get_window_extent()
    assert panel.height > 0.6 * 3.4 * figure.dpi
    assert panel.y0 > legend.y1


def test_intervals_of_rates_and_risks_end_where_these_do() -> None:
    rows = [replace(attack("a", s, 1.0), attack_rate=v, value=v) for s, v in enumerate((0.0, 0.9))]
    found = exposures(to_frame(rows))[0]
    assert (found.rate.lower, found.rate.upper) == (0.0, 1.0)
    assert found.risk.upper == 1.0
    assert found.risk.lower < -1.0  # a risk has no least


def test_latex_and_markdown_carry_every_cell() -> None:
    grid = Grid(caption="50% of x_y", header=("a_b", "c"), rows=(("m", "1"),))
    assert r"50\% of x\_y" in grid.latex("tab:x")
    assert r"a\_b & c \\" in grid.latex("tab:x")
    assert "| m | 1 |" in grid.markdown()


@pytest.mark.parametrize("violated", [False, True])
def test_the_page_says_what_the_store_holds(tmp_path, violated: bool) -> None:
    rows = (
        score("a<b", 1, 0, 0.1),
        score("a<b", 2, 0, 0.05),
        attack("a<b", 0, 0.5),
        audit(violated),
    )
    store = Store(tmp_path / "store")
    store.write_plan(
        {"name": "A <toy>", "relation": "add_remove", "holdout": 0.5}, ["good", "bad"], []
    )
    settings = {"generator": {"label": "broken"}, "epsilon": 1.0}
    store.write(Record(cell="good", settings=settings, status="done", rows=rows))
    store.write(
        Record(
            cell="bad", settings=settings, status="crash", rows=(), phase="fit", error="it <broke>"
        )
    )
    page = write_report(store.path, tmp_path / "out").read_text()
    assert verdicts(to_frame(rows))[0].violated is violated
    assert ("1 audits reject the claim" in page) is violated
    assert "A &lt;toy&gt;" in page
    assert "it &lt;broke&gt;" in page
    assert "a&lt;b on tvd_1way (epsilon 1, 2)" in page
    assert "not covered by the privacy guarantee" in page
    links = set(re.findall(r'href="cells.html#(\w+)"', page))
    listed = (tmp_path / "out" / "cells.html").read_text()
    assert links == set(re.findall(r'section id="(\w+)"', listed))
    for table in ("utility-toy-tvd_1way", "attacks", "audit"):
        linked = re.findall(
            r"\\href\{cells.html\\#(\w+)\}\{\d", (tmp_path / "out" / f"{table}.tex").read_text()
        )
        assert linked, table
        assert set(linked) <= links
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert {"utility-toy.png", "utility-toy.pdf", "audit.png", "audit.tex"} <= names
