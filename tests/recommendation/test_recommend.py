"""Recommendations: right where facts tell, the baseline where they do not, honest about both."""

import dataclasses
from math import log

import pytest

from dpsynth.data.columns import CategoricalColumn, IntegerColumn
from dpsynth.data.open_columns import OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.generators import base
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.recommendation.advice import Advice
from dpsynth.recommendation.benchmark import METRICS, Benchmark
from dpsynth.recommendation.expectation import Expectation
from dpsynth.recommendation.facts import Facts
from dpsynth.recommendation.recommend import Recommendation, recommend
from dpsynth.registry import GENERATORS
from tests.recommendation.invented import invented

SCHEMA = Schema(
    columns=(
        *(CategoricalColumn(name=f"c{i}", categories=tuple(range(6))) for i in range(9)),
        *(IntegerColumn(name=f"n{i}", lower=0, upper=9) for i in range(3)),
    )
)
BUDGET = Budget(epsilon=1.0, delta=1e-9)


def advised(rows: int | None, *, lawful: bool = True, **options: object) -> Recommendation:
    return recommend(
        SCHEMA,
        BUDGET,
        rows=rows,
        benchmark=invented(lawful=lawful),
        **options,  # pyright: ignore[reportArgumentType]
    )


@pytest.mark.parametrize("metric", ["workload_error", "tstr_auc"])
def test_facts_choose_where_they_tell(metric: str) -> None:
    few, many = advised(400, metric=metric), advised(80_000, metric=metric)
    assert (few.generator, many.generator) == ("independent", "two_stage")
    assert few.by_facts
    assert few.regret.mean < 0.05 < few.baseline.mean
    assert few.regret.families == 16


def test_facts_that_tell_nothing_do_not_choose() -> None:
    """The control: with rows that were shuffled, choosing by facts is no better than always one."""
    found = advised(400, lawful=False)
    assert not found.by_facts
    assert found.generator == "two_stage"
    assert found.regret.mean >= found.baseline.mean > 0.1


def expectation(benchmark: Benchmark, metric: str = "workload_error") -> Expectation:
    return Expectation(benchmark=benchmark, column=metric, rows_known=True)


def test_left_out_data_sets_are_not_seen() -> None:
    """What is expected of a data set does not change with its own scores, nor with its family's."""
    known = invented(lawful=True)
    twins = known.datasets.assign(family=known.datasets["family"].replace("f8", "f7"))
    scores = known.scores.copy()
    scores.loc[scores["dataset"] == "d7", "workload_error"] *= 5
    before = expectation(Benchmark(datasets=twins, scores=known.scores)).left_out
    after = expectation(Benchmark(datasets=twins, scores=scores)).left_out
    own = known.blocks["dataset"].isin(["d7", "d8"]).to_numpy()
    assert before[own].equals(after[own])
    assert not before[~own].equals(after[~own])


def test_intervals_hold_nine_in_ten_of_what_was_left_out() -> None:
    known = expectation(invented(lawful=True))
    for generator, seen in known.measured.items():
        factor = 1 / Advice(expectation=known).around(str(generator), 1.0)[1]
        expected = known.left_out[generator]
        held = ((seen <= expected * factor) & (seen >= expected / factor)).mean()
        assert 0.88 <= held <= 0.94


def test_rows_that_are_not_known_are_not_looked_at() -> None:
    found = advised(None)
    assert found.regret.mean > advised(400).regret.mean
    declared = recommend(
        dataclasses.replace(SCHEMA, public_rows=400), BUDGET, benchmark=invented(lawful=True)
    )
    assert declared == advised(400)


def test_beyond_what_was_measured_the_nearest_facts_stand_in_for_scores_not_for_costs() -> None:
    benchmark = invented(lawful=True)
    rows = benchmark.datasets["rows"].loc[benchmark.scores["dataset"]].to_numpy()
    growing = benchmark.scores.assign(seconds=rows / 1000)
    benchmark = dataclasses.replace(benchmark, scores=growing)
    facts = Facts(rows=1e12, columns=10, codes=5.0, largest=20, numeric=0.5)
    most = dataclasses.replace(facts, rows=float(benchmark.datasets["rows"].max()))
    # Where both features of rows are at their ends, by the largest budget that was measured.
    largest = Budget(epsilon=10.0, delta=1e-9)
    scores, seconds = expectation(benchmark), expectation(benchmark, "seconds")
    far, near = (f.features(largest, rows_known=True) for f in (facts, most))
    assert scores.at(far).equals(scores.at(near))
    assert (seconds.at(far) > 10 * seconds.at(near)).all()


def test_what_takes_too_long_is_refused_with_the_reason() -> None:
    found = advised(80_000, most_seconds=2.0)
    assert found.generator == "mst"
    (slow,) = [p for p in found.prospects if p.generator == "two_stage"]
    assert slow.refused == "expected to take 5 s"
    assert advised(80_000, most_memory_mb=10.0).generator is None


def test_refusals_of_generators_are_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GENERATORS.get("two_stage"), "requires", ("torch",))
    monkeypatch.setattr(base, "find_spec", lambda _: None)
    found = advised(80_000)
    assert found.generator == "mst"
    assert "dpsynth[neural]" in (found.prospects[0].refused or "")


def test_an_accountant_that_a_budget_has_no_use_for_is_refused() -> None:
    pure = Budget(epsilon=1.0, delta=0.0)
    chosen = recommend(SCHEMA, pure, rows=80_000, benchmark=invented(lawful=True))
    assert chosen.generator == "two_stage"  # which can be fitted with Laplace noise
    assert any("pure privacy" in warning for warning in chosen.warnings)
    refused = recommend(
        SCHEMA, pure, rows=80_000, accountant="zcdp", benchmark=invented(lawful=True)
    )
    assert refused.generator is None
    assert all("delta" in (p.refused or "") for p in refused.prospects)


def test_an_accountant_that_an_open_schema_has_no_use_for_is_refused() -> None:
    opened = OpenSchema(columns=(*SCHEMA.columns, OpenText(name="t", most=50, missing=False)))

    def advice(schema: Schema | OpenSchema, accountant: str | None) -> Recommendation:
        known = invented(lawful=True)
        return recommend(schema, BUDGET, rows=80_000, accountant=accountant, benchmark=known)

    assert advice(opened, None).generator == advice(SCHEMA, "pld").generator == "two_stage"
    refused = advice(opened, "pld")
    assert refused.generator is None
    assert all("fixed plans only" in (p.refused or "") for p in refused.prospects)


def test_facts_unlike_any_that_were_measured_are_named() -> None:
    wide = Schema(
        columns=tuple(CategoricalColumn(name=f"c{i}", categories=(0, 1)) for i in range(300))
    )
    budget = Budget(epsilon=50.0, delta=1e-9, relation=Neighbouring.REPLACE)
    found = recommend(wide, budget, rows=10**7, benchmark=invented(lawful=True))
    said = "; ".join(found.warnings)
    for what in ("300 columns", "10,000,000 rows", "epsilon 50", "add_remove"):
        assert what in said, said
    assert not advised(5000).warnings


def test_mistakes_are_sentences() -> None:
    with pytest.raises(UnknownNameError, match="workload_error"):
        advised(400, metric="workload_eror")
    with pytest.raises(InvalidValueError, match="rows is 0"):
        advised(0)


def test_facts_are_the_public_ones() -> None:
    facts = Facts.of(SCHEMA, rows=1000)
    assert (facts.columns, facts.largest, facts.numeric) == (12, 10, 0.25)
    assert facts.codes == pytest.approx(6**0.75 * 10**0.25)
    opened = OpenSchema(columns=(*SCHEMA.columns, OpenText(name="t", most=50, missing=False)))
    assert Facts.of(opened).largest >= 50
    few, many = (Facts.of(SCHEMA, rows=n).features(BUDGET, rows_known=True) for n in (1000, 4000))
    assert (many - few).tolist() == pytest.approx([log(4), log(4), 0, 0, 0])
    spent = [facts.features(Budget(epsilon=e, delta=1e-9), rows_known=False)[0] for e in (0.1, 0.2)]
    assert spent[1] - spent[0] == pytest.approx(log(2), abs=0.05)  # rho grows nearly by the square


def test_what_comes_with_the_package_is_whole() -> None:
    known = Benchmark.load()
    assert set(known.scores["dataset"]) == set(known.datasets.index)
    assert all(name in GENERATORS for name in known.sources)
    assert set(METRICS) <= set(known.scores.columns)
    found = recommend(SCHEMA, BUDGET, rows=20_000)
    assert found.baseline.families >= 10
    for metric in METRICS:
        regret, always = Advice(expectation=expectation(known, metric)).regrets()
        assert min(regret.mean, always.mean) <= 0.1, metric
