"""The leaderboard of a store: the page, links to cells, the front, what bars join."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dpsynth.errors import FileError, InvalidValueError, UnknownNameError
from dpsynth.harness.row import Row
from dpsynth.harness.store import UNVERIFIED, Record, Store, to_frame
from dpsynth.report.critical_difference import cliques
from dpsynth.report.leaderboard import rankings, write_leaderboard
from dpsynth.report.pareto import offers, pareto_figure
from dpsynth.report.ranking import rank
from dpsynth.report.tables import Grid
from tests.report.scores import rows_of

GENERATORS = {"good": 0.1, "also good": 0.1, "bad": 0.5}


def scores(seeds: int = 8) -> dict[tuple[str, str, float, int], float | None]:
    rng = np.random.default_rng(3)
    return {
        ("toy", name, epsilon, seed): base / epsilon + 0.01 * float(rng.normal())
        for seed in range(seeds)
        for epsilon in (0.5, 1.0)
        for name, base in GENERATORS.items()
    }


def stored(path: Path, rows: list[Row]) -> Store:
    store, cells = Store(path), list(dict.fromkeys(row.cell for row in rows))
    store.write_plan({"name": "A <toy>"}, cells, [])
    for cell in cells:
        own = tuple(row for row in rows if row.cell == cell)
        settings = {
            "dataset": {"name": own[0].dataset},
            "generator": {"label": own[0].generator},
            "epsilon": own[0].epsilon,
            "seed": own[0].seed,
        }
        store.write(Record(cell=cell, settings=settings, status="done", rows=own))
    return store


def page_of(store: Store, out: Path, **how) -> str:
    rows, found = rankings(store.path, rng=np.random.default_rng(0), **how)
    return write_leaderboard(store.path, out, rows, found).read_text(encoding="utf-8")


def test_every_number_leads_to_cells_that_exist(tmp_path: Path) -> None:
    store = stored(tmp_path / "store", rows_of(scores()))
    page = page_of(store, tmp_path / "out")
    listed = (tmp_path / "out" / "leaderboard-cells.html").read_text(encoding="utf-8")
    tex = (tmp_path / "out" / "leaderboard-tvd_2way.tex").read_text(encoding="utf-8")
    markdown = (tmp_path / "out" / "leaderboard.md").read_text(encoding="utf-8")
    addresses = re.findall(r'href="leaderboard-cells.html#(\w+)"', page)
    assert len(addresses) == len(GENERATORS) + 3  # one a generator, one a pair
    assert set(addresses) == set(re.findall(r'section id="(\w+)"', listed))
    assert len(re.findall(r"\\href\{leaderboard-cells\.html\\#\w+\}\{0\.", tex)) == 3
    pairs = (tmp_path / "out" / "pairs-tvd_2way.tex").read_text(encoding="utf-8")
    assert len(re.findall(r"\\href\{leaderboard-cells\.html\\#\w+\}\{0\.", pairs)) == 3
    assert re.findall(r"\]\(leaderboard-cells.html#(\w+)\)", markdown) == addresses
    files = re.findall(r'href="([^"]+\.json)"', listed)
    assert len(files) == 2 * 8 * (3 + 2 * 3)
    assert all((tmp_path / "out" / name).exists() for name in files)
    assert "A &lt;toy&gt;" in page


def test_bars_join_what_is_not_told_apart() -> None:
    found = rank(to_frame(rows_of(scores())), "tvd_2way", rng=np.random.default_rng(0))
    assert [s.generator for s in found.ranked][-1] == "bad"
    assert cliques(found) == [(0, 1)]
    few = rank(to_frame(rows_of(scores(seeds=3))), "tvd_2way", rng=np.random.default_rng(0))
    assert cliques(few) == [(0, 2)]  # three seeds tell nothing apart


def test_the_page_says_when_nothing_could_be_shown(tmp_path: Path) -> None:
    sentence = "no difference could have been shown"
    page = page_of(stored(tmp_path / "a", rows_of(scores(seeds=3))), tmp_path / "b")
    assert sentence in page
    assert ". <b>With" in page  # a space between sentences
    assert sentence not in page_of(stored(tmp_path / "c", rows_of(scores())), tmp_path / "d")


def test_what_is_not_verified_says_so(tmp_path: Path) -> None:
    foreign = {k: v for k, v in scores().items() if k[1] == "bad"}
    own = {k: v for k, v in scores().items() if k[1] != "bad"}
    rows = [*rows_of(own), *rows_of(foreign, mode=UNVERIFIED)]
    page = page_of(stored(tmp_path / "store", rows), tmp_path / "out")
    assert "bad (not verified)" in page
    assert "good (not verified)" not in page
    assert "Claim not verified:" in page
    page = page_of(stored(tmp_path / "other", rows_of(own)), tmp_path / "out2")
    assert "not verified" not in page.lower()


def test_the_front_is_what_no_other_beats() -> None:
    rows = rows_of(scores(seeds=2))  # a fit takes as long as its name
    risks = [
        Row(
            **{k: getattr(r, k) for k in ("cell", "dataset", "generator", "epsilon", "seed")},
            delta=1e-9,
            relation="add_remove",
            kind="attack",
            metric="linkability",
            value=0.0 if r.generator == "also good" else 0.2,
        )
        for r in rows
        if r.kind == "utility"
    ]
    without = {o.generator for o in offers(to_frame(rows), "tvd_2way") if o.on_front}
    assert "good" in without
    assert "bad" in without  # the fastest
    fast = [r for r in rows if r.metric != "seconds fit"]
    found = offers(to_frame([*fast, *risks]), "tvd_2way")
    assert "bad" not in {o.generator for o in found if o.on_front}  # "also good" has less risk
    assert {o.risk for o in found if o.generator == "bad"} == {0.2}
    assert all(np.isnan(o.seconds) for o in found)


def test_a_weaker_guarantee_beats_nobody() -> None:
    strong = rows_of({("toy", "a", 1.0, 0): 0.4})
    weak = [replace(row, delta=1e-5) for row in rows_of({("toy", "b", 1.0, 0): 0.1})]
    assert [o.on_front for o in offers(to_frame([*strong, *weak]), "tvd_2way")] == [True, True]
    same = rows_of({("toy", "b", 1.0, 0): 0.1})
    assert [o.on_front for o in offers(to_frame([*strong, *same]), "tvd_2way")] == [False, True]


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_seconds_and_utility_can_be_read_off(scale: float) -> None:
    rows = to_frame(rows_of(scores(seeds=1)))
    rows.loc[rows["metric"] == "seconds fit", "value"] = [0.6, 0.7, 1.4 * scale] * 2
    figure = pareto_figure(offers(rows, "tvd_2way"), "toy", "tvd_2way")
    figure.draw_without_rendering()
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        low, high = axis.get_view_interval()
        assert sum(low <= tick <= high for tick in axis.get_majorticklocs()) >= 3


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ({"metrics": ("tvd_1way",)}, UnknownNameError, "tvd_1way"),
        ({"generators": ("god",)}, UnknownNameError, "good"),
        ({"epsilon": 2.0}, InvalidValueError, "0.5, 1"),
    ],
)
def test_what_the_store_lacks_is_one_sentence(tmp_path: Path, how, error, said: str) -> None:
    store = stored(tmp_path / "store", rows_of(scores(seeds=1)))
    with pytest.raises(error, match=said):
        rankings(store.path, rng=np.random.default_rng(0), **how)


def test_a_store_without_scores_is_one_sentence(tmp_path: Path) -> None:
    store = stored(tmp_path / "store", rows_of({("toy", "a", 1.0, 0): None}))
    with pytest.raises(FileError, match="no scores to compare"):
        rankings(store.path, rng=np.random.default_rng(0))
    with pytest.raises(FileError, match="not a results store"):
        rankings(tmp_path / "none", rng=np.random.default_rng(0))


def test_links_are_written_in_both_languages() -> None:
    grid = Grid(caption="c", header=("a", "b"), rows=(("x_y", "1"),), links={(0, 1): "p.html#z"})
    assert "| x_y | [1](p.html#z) |" in grid.markdown()
    assert r"x\_y & \href{p.html\#z}{1} \\" in grid.latex("tab:c")
