"""Drift: few false alarms where the model is only a noisy view of its population, and power."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import dpsynth
from dpsynth.audit.forced import ForcedNoise
from dpsynth.audit.transcript import Recorder
from dpsynth.curator.private_data import PrivateData
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import CategoricalColumn, Schema
from dpsynth.data.table import Table
from dpsynth.drift.asking import Answers, ask
from dpsynth.drift.comparison import Answer, Size, compare
from dpsynth.drift.detect import Drift, detect_drift
from dpsynth.drift.reference import Reference
from dpsynth.errors import DpsynthError, InvalidValueError
from dpsynth.pgm.effects import Effect, Effects
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import ReleaseNoise
from dpsynth.synthesis import Synthesis
from tests.tables import coded_table, dependent_codes

SIZES = (4, 3, 2, 8)


def table(rows: int, seed: int) -> Table:
    return coded_table(dependent_codes(rows, SIZES, rng=np.random.default_rng(seed)), SIZES)


def shifted(batch: Table, part: float) -> Table:
    """Return the batch with `part` of its records moved to code 0 of the first column."""
    frame = batch.frame
    name = frame.columns[0]
    others = np.flatnonzero((frame[name] != frame[name].min()).to_numpy())
    frame.iloc[others[: round(part * len(frame))], 0] = frame[name].min()
    return Table.from_frame(batch.schema, frame)


def fit(seed: int, *, rows: int = 2000, generator: str = "independent", **more: Any) -> Synthesis:
    wanted = {"epsilon": 1.0, "seed": seed, **more}
    return dpsynth.synthesize(table(rows, seed), generator=generator, **wanted)


@pytest.fixture(scope="module")
def model() -> Synthesis:
    return fit(0, generator="mst")


def alarms(
    repetitions: int, change: Callable[[Table], Table] = lambda t: t, **more: Any
) -> list[Drift]:
    return [
        detect_drift(
            fit(1000 + i, epsilon=0.5), change(table(1500, 5000 + i)), seed=i, draws=500, **more
        )
        for i in range(repetitions)
    ]


@pytest.mark.statistical
@pytest.mark.parametrize("setting", [{"epsilon": 0.5}, {"epsilon": 4.0}])
def test_few_false_alarms_and_real_ones(setting: dict[str, Any], monkeypatch) -> None:
    """Null true: at most 5%, 120 repetitions, level of the test 1e-3, seeds 1000 and 5000 on.

    Power: a fifth of the records moved in one column. Control: taking the model for the population,
    without the errors of its own marginals, raises far too many alarms.
    """
    most = int(binom.ppf(0.999, 120, 0.05))
    assert sum(d.drifted for d in alarms(120, **setting)) <= most
    hits = [d for d in alarms(12, lambda t: shifted(t, 0.2), **setting) if d.drifted]
    assert len(hits) >= 10
    assert {d.changes[0].columns for d in hits} == {("c0",)}
    original = Effects.of

    def certain(*args: Any, **named: Any) -> Effects:
        found = original(*args, **named)
        sure = {c: Effect(values=e.values, variance=0.0) for c, e in found.effects.items()}
        return Effects(domain=found.domain, effects=sure)

    if setting["epsilon"] > 1:  # where the batch's own noise does not hide the model's
        monkeypatch.setattr(Effects, "of", staticmethod(certain))
        assert sum(d.drifted for d in alarms(120, **setting)) > 1.5 * most


def test_errors_have_the_covariance_of_the_measurements(model: Synthesis) -> None:
    """20,000 draws, seed 1; variances of sums over groups, against the closed form, within 5%."""
    reference = Reference.of(model)
    pair = next(c for c in [("c0", "c1"), ("c0", "c3"), ("c1", "c2")] if reference.covers(c))
    for clique in (("c3",), pair):
        groups = [np.arange(reference.likely((a,)).size) // 2 for a in clique]
        drawn = reference.errors(clique, groups, 20_000, rng=np.random.default_rng(1))
        shares = reference.shares(clique)
        for cell in np.ndindex(*drawn.shape[1:]):
            inside = np.ones(shares.shape)
            for axis, (of, at) in enumerate(zip(groups, cell, strict=True)):
                inside *= np.expand_dims(of == at, [i for i in range(shares.ndim) if i != axis])
            # A share is a ratio: to first order its error weighs the total too.
            weights = inside - float((shares * inside).sum())
            wanted = reference.effects.query_variance(clique, weights) / reference.rows**2
            assert drawn[(slice(None), *cell)].var() == pytest.approx(wanted, rel=0.05)


def test_everything_asked_is_charged_and_fits(model: Synthesis) -> None:
    found = detect_drift(model, table(1500, 7), epsilon=0.1, seed=0)
    assert found.receipt.releases == "answers"  # no model that rows could be drawn of
    assert 0.09 <= found.receipt.epsilon_spent <= 0.1
    assert found.receipt.not_for_release
    labels = [e.label for e in found.receipt.entries]
    assert labels[:2] == ["count", "one-way marginals of the batch"]
    released = detect_drift(model, table(1500, 7), epsilon=1.0)
    assert not released.receipt.not_for_release
    again = [detect_drift(model, table(1500, 7), epsilon=0.1, seed=0) for _ in range(2)]
    assert again[0] == again[1] == found


def asked(batch: Table, model: Synthesis, noise: Any, observe: Any) -> Answers:
    private = PrivateData(
        batch, Budget(epsilon=1, delta=1e-9), noise=noise, accountant="gdp", observer=observe
    )
    return ask(private, Reference.of(model))


def test_nothing_but_the_answers_tells_the_number_of_records(model: Synthesis) -> None:
    """Grey box: five times the records, but noise that makes all answers the same: then so is all
    that is asked, and what is made of it."""
    batch = table(1500, 8)
    small, large = batch.take(np.arange(300)), batch
    recorder = Recorder(ReleaseNoise())
    first = asked(small, model, recorder, recorder.observe)
    codes = [Codec(schema=t.schema).encode(t) for t in (small, large)]
    forced = ForcedNoise(
        recorder.transcript(),
        recorded=codes[0],
        codes=codes[1],
        domain=batch.schema.domain,
        noise=ReleaseNoise(),
    )
    second = asked(large, model, forced, forced.observe)
    assert not forced.departed
    assert first.counts == second.counts
    assert [first.size(i) for i in range(4)] == [second.size(i) for i in range(4)]
    for one, other in zip(first.marginals, second.marginals, strict=True):
        assert (one.clique, one.sigma) == (other.clique, other.sigma)
        np.testing.assert_array_equal(one.counts, other.counts)


def test_a_batch_that_drowns_says_so_and_is_no_alarm(model: Synthesis) -> None:
    found = detect_drift(model, table(30, 9), epsilon=0.01, seed=0)
    assert not found.drifted
    assert found.p_value == 1.0
    assert found.left_out == ("c0", "c1", "c2", "c3")


def test_a_public_size_is_not_bought(model: Synthesis) -> None:
    found = detect_drift(model, table(1500, 7), epsilon=1.0, seed=0, relation="replace")
    assert found.rows == 1500
    assert all(e.label != "count" for e in found.receipt.entries)


def test_pure_differential_privacy_has_no_false_alarm_for_its_tails() -> None:
    model = fit(3, accountant="pure", delta=0.0, epsilon=4.0)
    assert Reference.of(model).laplace
    same = detect_drift(model, table(1500, 11), epsilon=4.0, delta=0.0, seed=0)
    moved = detect_drift(model, shifted(table(1500, 11), 0.3), epsilon=4.0, delta=0.0, seed=0)
    assert (same.drifted, moved.drifted) == (False, True)
    assert same.receipt.accountant == "pure"


def test_units_of_several_rows_vary_more(model: Synthesis) -> None:
    """As if a unit had four equal rows: chance has twice the deviation (20,000 draws, seed 0)."""
    reference = Reference.of(model)
    groups = np.arange(4)
    answer = Answer(clique=("c0",), groups=(groups,), counts=np.full(4, 375.0), sigma=1e-3)
    size = Size(rows=1500.0, weight=0.0, spread=0.0)
    exact = replace(
        reference,
        effects=Effects(
            domain=reference.effects.domain,
            effects={
                c: Effect(values=e.values, variance=0.0)
                for c, e in reference.effects.effects.items()
            },
        ),
    )
    deviations = [
        compare(
            exact,
            answer,
            size,
            rows_per_unit=rows,
            laplace=False,
            draws=20_000,
            rng=np.random.default_rng(0),
        ).deviation
        for rows in (1, 4)
    ]
    assert deviations[1] == pytest.approx(2 * deviations[0], rel=0.05)


def test_units_and_noise_of_the_batch_reach_the_comparison(monkeypatch) -> None:
    seen: list[tuple[int, bool]] = []

    def spied(*args: Any, **named: Any) -> Any:
        seen.append((named["rows_per_unit"], named["laplace"]))
        return compare(*args, **named)

    monkeypatch.setattr("dpsynth.drift.detect.compare", spied)
    for rows, delta in ((1, 0.0), (4, 1e-9)):
        more = {} if rows == 1 else {"unit": "who", "max_rows_per_unit": rows}
        batch = coded_table(
            dependent_codes(800, SIZES, rng=np.random.default_rng(2)), SIZES, **more
        )
        model = dpsynth.synthesize(batch, generator="independent", epsilon=1.0, seed=0)
        detect_drift(model, batch, epsilon=4.0, delta=delta, seed=0, draws=200)
    assert set(seen) == {(1, True), (4, False)}


def test_of_a_unit_with_many_rows_as_many_are_counted_as_declared() -> None:
    """30 people of 100 rows where the schema says 1; the noise of the count deviates by 3."""
    rng = np.random.default_rng(0)
    kind = CategoricalColumn(name="kind", categories=("a", "b"))
    schema = Schema(unit="who", max_rows_per_unit=1, columns=(kind,))
    kinds = pd.Series(rng.choice(["a", "b"], 3000), name="kind")
    people = pd.DataFrame({"who": np.arange(3000), "kind": kinds})
    model = dpsynth.synthesize(people, schema=schema, generator="mst", epsilon=1.0, seed=0)
    batch = people.assign(who=np.repeat(np.arange(30), 100))
    for same in (batch, Table.from_frame(schema, batch)):
        found = detect_drift(model, same, epsilon=4.0, seed=0)
        assert 15 < found.rows < 45
        assert not any("promised" in fact for fact in found.receipt.unprotected)
    bare = detect_drift(model, batch[["kind"]], epsilon=4.0, seed=0)
    assert bare.rows > 2900  # the control: no identifier, and the receipt says what that means
    assert any("promised and not enforced" in fact for fact in bare.receipt.unprotected)


def test_a_batch_in_files_is_compared_as_one_in_memory(model: Synthesis, tmp_path: Path) -> None:
    frame = table(1500, 7).frame
    found = detect_drift(model, frame, epsilon=1.0, seed=0)
    frame[:500].to_csv(tmp_path / "1.csv", index=False)
    frame[500:].to_csv(tmp_path / "2.csv", index=False)
    for place in (tmp_path, f"{tmp_path}/*.csv"):
        assert detect_drift(model, place, epsilon=1.0, seed=0).changes == found.changes


def test_the_number_of_training_records_is_not_asked_of_the_batch() -> None:
    public = Table.from_frame(replace(table(10, 0).schema, public_rows=2000), table(2000, 0).frame)
    model = dpsynth.synthesize(public, generator="mst", epsilon=1.0, seed=0)
    found = detect_drift(model, table(500, 1), epsilon=1.0, seed=0)
    assert found.receipt.entries[0].label == "count"


def test_a_batch_that_is_a_table_keeps_who_its_rows_belong_to() -> None:
    schema = replace(table(10, 0).schema, unit="person", max_rows_per_unit=2)
    frame = table(600, 0).frame.assign(person=np.arange(600) // 3)
    batch = Table.from_frame(schema, frame)
    model = dpsynth.synthesize(batch, generator="independent", epsilon=1.0, seed=0)
    for data in (batch, frame):
        found = detect_drift(model, data, epsilon=1.0, seed=0)
        assert not any("promised" in fact for fact in found.receipt.unprotected)


def test_groups_are_named(model: Synthesis) -> None:
    found = detect_drift(model, shifted(table(1500, 7), 0.4), epsilon=8.0, seed=0)
    assert found.drifted
    first = found.changes[0]
    assert first.columns == ("c0",)
    assert abs(first.found - first.expected) > 3 * first.deviation
    assert first.values == "0"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"epsilon": -1.0}, "epsilon is -1.0"),
        ({"draws": 5}, "draws is 5"),
        ({"model": "no-such-file"}, "no such file"),
        ({"data": table(20, 0).frame.drop(columns="c1")}, "unknown column of the table 'c1'"),
    ],
)
def test_a_mistake_is_one_sentence(
    model: Synthesis, changes: dict[str, Any], sentence: str
) -> None:
    wanted = {"model": model, "data": table(20, 0), "epsilon": 1.0, **changes}
    with pytest.raises(DpsynthError, match=sentence):
        detect_drift(wanted.pop("model"), wanted.pop("data"), **wanted)


@pytest.mark.parametrize("generator", ["uniform", "privbayes"])
def test_a_model_without_marginals_is_refused(generator: str) -> None:
    with pytest.raises(InvalidValueError, match="kept its noisy marginals"):
        detect_drift(fit(0, rows=100, generator=generator), table(100, 1), epsilon=1.0)
