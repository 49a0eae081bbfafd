"""Units and events from one front door: keys, numbers, order, dependences, files."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dpsynth.archive import read_parts
from dpsynth.data.clock import Clock
from dpsynth.data.linked_schema import LinkedSchema
from dpsynth.data.linked_tables import LinkedTables
from dpsynth.data.schema import CategoricalColumn, IntegerColumn, Schema
from dpsynth.errors import (
    FileError,
    InvalidValueError,
    UnknownNameError,
    UnsupportedEventError,
)
from dpsynth.generators.marginal.pairs_first import PairsFirst
from dpsynth.generators.marginal.two_stage import TwoStage
from dpsynth.linked.synthesis import LinkedSample, LinkedSynthesis, synthesize_linked
from dpsynth.saved import bundled
from tests.doors import counted_charges
from tests.linked.panels import EVENTS, LINKED, LONG, panel

PEOPLE, VISITS = panel(1500, seed=1)


@pytest.fixture(scope="module")
def fitted() -> LinkedSynthesis:
    return synthesize_linked(VISITS, PEOPLE, schema=LINKED, epsilon=20.0, seed=3)


def check(sample: LinkedSample, schema: LinkedSchema) -> None:
    """Assert what holds of every sample: fresh keys, no orphans, order, and the schema."""
    keys = sample.units[schema.key]
    assert keys.tolist() == list(range(1, len(keys) + 1))
    assert set(sample.events[schema.key]) <= set(keys)
    assert sample.events[schema.key].is_monotonic_increasing
    assert sample.events.groupby(schema.key).size().max() <= schema.max_events
    if schema.time is not None:
        assert (sample.events.groupby(schema.key)[schema.time].diff().dropna() >= 0).all()
    LinkedTables(  # refuses whatever the schema does
        schema=schema, events=sample.events, units=None if schema.units is None else sample.units
    )


def test_what_holds_of_every_sample_holds(fitted: LinkedSynthesis) -> None:
    sample = fitted.sample()
    check(sample, LINKED)
    assert sample.units.columns.tolist() == ["patient", "sex", "age"]
    assert sample.events.columns.tolist() == ["patient", "day", "ward", "dose"]
    assert len(fitted.sample(37).units) == 37
    again = fitted.sample()
    pd.testing.assert_frame_equal(sample.events, again.events)
    pd.testing.assert_frame_equal(sample.units, again.units)


@pytest.mark.statistical
def test_numbers_attributes_and_the_past_are_kept(fitted: LinkedSynthesis) -> None:
    """1,500 people, epsilon 20, seed 3. A ward stays in .93 of the transitions, by chance in a
    third; men have two visits more. Limits are six standard errors of a sample away and more; the
    control is the sample with its wards shuffled."""
    sample = fitted.sample()

    def facts(units: pd.DataFrame, events: pd.DataFrame) -> tuple[float, float, float, float]:
        ordered = events.sort_values(["patient", "day"], kind="stable")
        number = events.groupby("patient").size().reindex(units["patient"], fill_value=0)
        men = (units["sex"] == "m").to_numpy()
        wards = ordered["ward"].astype(str)
        same = wards == wards.groupby(ordered["patient"]).shift(1)
        stays = same[ordered.duplicated("patient")].mean()
        gap = ordered.groupby("patient")["day"].diff().mean()
        more = number[men].mean() - number[~men].mean()
        return number.mean(), more, stays, gap

    number, more, stays, gap = facts(PEOPLE, VISITS)
    found = facts(sample.units, sample.events)
    assert found[0] == pytest.approx(number, rel=0.05)
    assert found[1] == pytest.approx(more, abs=0.3)
    assert found[2] == pytest.approx(stays, abs=0.05)
    assert found[3] == pytest.approx(gap, rel=0.1)
    shuffled = sample.events.assign(
        ward=sample.events["ward"].sample(frac=1, random_state=0).to_numpy()
    )
    assert facts(sample.units, shuffled)[2] < stays - 0.3


@pytest.mark.parametrize("generator", ["two_stage", "independent", "uniform"])
def test_any_graphical_generator_serves_a_long_table(generator: str) -> None:
    for schema in (LONG, replace(LONG, time=None)):
        made = synthesize_linked(
            VISITS,
            schema=schema,
            epsilon=1.0,
            generator=generator,
            units_generator=generator,
            seed=0,
        )
        sample = made.sample(200)
        check(sample, schema)
        assert sample.units.columns.tolist() == ["patient"]
        assert sample.events.groupby("patient").size().min() >= 1


def test_events_of_nothing_but_time_or_nothing_but_values() -> None:
    times = replace(EVENTS, columns=EVENTS.columns[:1])
    made = synthesize_linked(
        VISITS[["patient", "day"]], schema=replace(LONG, events=times), epsilon=5.0, seed=0
    )
    check(made.sample(), made.schema)


def test_a_least_gap_keeps_events_apart_and_their_number(fitted: LinkedSynthesis) -> None:
    gap = IntegerColumn(name="gap", lower=15, upper=99, on_invalid="clip")
    made = synthesize_linked(VISITS, PEOPLE, schema=replace(LINKED, gap=gap), epsilon=20.0, seed=3)
    sample = made.sample()
    check(sample, LINKED)
    assert sample.events.groupby("patient")["day"].diff().min() >= 15
    few, many = (s.sample().events.groupby("patient").size().mean() for s in (made, fitted))
    assert few == pytest.approx(many, rel=0.05)


def test_one_receipt_covers_both_parts(fitted: LinkedSynthesis) -> None:
    whole = fitted.receipt
    assert whole.budget.unit == "patient"
    assert whole.budget.max_rows_per_unit == 2
    assert 0.9 * 20 <= whole.epsilon_spent <= 20
    parts = (fitted.units.receipt, fitted.events.receipt)
    assert sum(part.spent for part in parts) <= whole.spent
    for part, entry in zip(parts, whole.entries, strict=True):
        assert part.spent <= entry.cost
        assert part.budget.unit == "patient"
    assert whole.not_for_release


def test_release_mode_takes_no_seed_and_needs_none() -> None:
    made = synthesize_linked(VISITS, PEOPLE, schema=LINKED, epsilon=1.0)
    assert not made.receipt.not_for_release
    check(made.sample(50), LINKED)


def test_events_are_drawn_as_the_columns_of_their_model_say(fitted: LinkedSynthesis) -> None:
    """Doses after the first within a tenth above the start of their bins."""
    schema = fitted.events.schema
    columns = []
    for column in schema.columns:
        if column.name == "dose":
            pieces = tuple((float(b), b + 0.1, 1.0) for b in range(8))
            columns.append(replace(column, pieces=pieces))
        else:
            columns.append(column)
    model = replace(fitted.events.model, schema=replace(schema, columns=tuple(columns)))  # type: ignore[type-var]
    shaped = replace(fitted, events=replace(fitted.events, model=model)).sample()
    check(shaped, LINKED)
    later = shaped.events[shaped.events.groupby("patient").cumcount() > 0]["dose"].dropna()
    assert len(later) > 1000
    assert (later % 1 < 0.1).all()
    plain = fitted.sample().events["dose"].dropna()
    assert (plain % 1 < 0.1).mean() < 0.2


def test_values_of_linked_tables_follow_a_curve(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    steep = VISITS.assign(dose=np.minimum(rng.exponential(1.0, len(VISITS)), 8.0))
    found = synthesize_linked(steep, PEOPLE, schema=LINKED, epsilon=20.0, seed=3)
    for part, name in ((found.events, "dose"), (found.units, LINKED.names.first["dose"])):
        column: Any = part.schema.column(name)
        first = [weight for low, _, weight in column.pieces if low < 1]
        assert len(first) > 1
        assert first == sorted(first, reverse=True)
    # Of an exponential law's first unit, .622 lie in its first half; uniform is .5.
    drawn = found.sample().events["dose"]
    low = drawn[drawn < 1]
    assert 0.57 < (low < 0.5).mean() < 0.68
    found.save(tmp_path / "linked.zip")
    again = LinkedSynthesis.load(tmp_path / "linked.zip").sample()
    pd.testing.assert_frame_equal(again.events, found.sample().events)


def test_saved_models_sample_alike(fitted: LinkedSynthesis, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    for made in (
        fitted,
        synthesize_linked(
            VISITS,
            schema=replace(LONG, gap=IntegerColumn(name="g", lower=1, upper=40, on_invalid="clip")),
            epsilon=1.0,
            seed=1,
            generator="independent",
        ),
    ):
        made.save(path)
        again = LinkedSynthesis.load(path)
        assert again.schema == made.schema
        assert again.receipt.to_json() == made.receipt.to_json()
        pd.testing.assert_frame_equal(again.sample(80).events, made.sample(80).events)


def test_damaged_files_are_refused(fitted: LinkedSynthesis, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    with pytest.raises(FileError, match="no such file"):
        LinkedSynthesis.load(path)
    fitted.units.save(path)
    with pytest.raises(FileError, match="dpsynth linked model 1"):
        LinkedSynthesis.load(path)
    fitted.save(path)
    with zipfile.ZipFile(path) as bundle:
        parts = {name: bundle.read(name) for name in bundle.namelist()}
    for name in ("starts.zip", "receipt.json", "events.toml"):
        with zipfile.ZipFile(path, "w") as bundle:
            for other, content in parts.items():
                bundle.writestr(other, content[:-7] + b"?" * 7 if other == name else content)
        with pytest.raises(FileError, match="checksum"):
            LinkedSynthesis.load(path)
    manifest = json.loads(parts["manifest.json"])
    with zipfile.ZipFile(path, "w") as bundle:
        for other, content in parts.items():
            changed = json.dumps({**manifest, "max_events": 5}).encode()
            bundle.writestr(other, changed if other == "manifest.json" else content)
    with pytest.raises(FileError, match="not those of its schemas"):
        LinkedSynthesis.load(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"numbers": [0.5, 0.5]}, "numbers of events"),
        ({"numbers": [-1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0]}, "numbers of events"),
        ({"numbers": 1}, "'numbers' is missing or mistyped"),
        ({"max_events": 10**400}, "not a valid linked model"),
        ({"time": "dose"}, "not a valid linked model"),
        ({"without": "receipt.json"}, "a model, a schema or the receipt is missing"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    fitted: LinkedSynthesis, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = tmp_path / "model.zip"
    fitted.save(path)
    parts = read_parts(path)
    parts.pop(changes.get("without", ""), None)
    manifest = json.loads(parts.pop("manifest.json")) | changes
    path.write_bytes(bundled(manifest, parts))
    with pytest.raises(FileError, match=said):
        LinkedSynthesis.load(path)


def test_a_unit_that_starts_too_late_for_its_events_starts_early() -> None:
    """Everybody starts at day 80; six events that are 15 days apart must start by day 24."""
    people = np.repeat([f"p{i:03}" for i in range(300)], 2)
    days = np.tile([80, 95], 300)
    late = pd.DataFrame({"patient": people, "day": days, "ward": "a", "dose": 1.0})
    gap = IntegerColumn(name="gap", lower=15, upper=99, on_invalid="clip")
    made = synthesize_linked(late, schema=replace(LONG, gap=gap), epsilon=50.0, seed=0)
    assert made.sample(50).events.groupby("patient")["day"].first().min() > 60
    many = replace(made, numbers=np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0])).sample(50)
    check(many, made.schema)
    assert (many.events.groupby("patient")["day"].first() == 0).all()
    assert many.events.groupby("patient")["day"].diff().min() >= 15


def test_what_cannot_serve_is_refused_before_records_are_read() -> None:
    nobody = "no-such-file.csv"
    with pytest.raises(InvalidValueError, match="conditioned on the past: aim"):
        synthesize_linked(nobody, schema=LONG, epsilon=1.0, generator="privbayes")
    with pytest.raises(UnsupportedEventError, match="two tables"):
        synthesize_linked(nobody, schema=LONG, epsilon=1.0, accountant="pld")
    with pytest.raises(InvalidValueError, match="delta"):
        synthesize_linked(nobody, schema=LONG, epsilon=1.0, delta=0.0)
    with pytest.raises(FileError, match="no such file"):
        synthesize_linked(nobody, schema=LONG, epsilon=1.0)


WIDE = IntegerColumn(name="day", lower=0, upper=9_999, bins=5_000)


@pytest.mark.parametrize(
    ("chosen", "error", "said"),
    [
        ({"generator": TwoStage(label="colour")}, UnknownNameError, "colour"),
        ({"units_generator": TwoStage(label="colour")}, UnknownNameError, "colour"),
        ({"generator": PairsFirst(pairs=(("ward", "colour"),))}, UnknownNameError, "colour"),
        ({"wide": True}, InvalidValueError, "cells of the junction tree"),
        ({"units_generator": "dpvae"}, UnsupportedEventError, "another generator than 'dpvae'"),
    ],
)
def test_what_a_fit_refuses_is_refused_before_anything_is_bought(
    chosen: dict[str, Any],
    error: type[Exception],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    charges, fields = counted_charges(monkeypatch), dict(chosen)
    columns = EVENTS.columns[1:]
    if fields.pop("wide", False):
        columns = (WIDE, *columns)
    schema = replace(LINKED, events=replace(EVENTS, columns=columns), time=None)
    with pytest.raises(error, match=said):
        synthesize_linked(VISITS, PEOPLE, schema=schema, epsilon=1.0, **fields)
    assert not charges


def test_pairs_of_a_value_with_what_it_was_are_the_default(fitted: LinkedSynthesis) -> None:
    generator = fitted.events.generator
    assert isinstance(generator, PairsFirst)
    assert ("ward (previous)", "ward") in generator.pairs
    assert ("day (previous)", "time since") in generator.pairs
    assert "sex" in generator.given


def test_files_and_frames_give_the_same(tmp_path: Path) -> None:
    visits, people = tmp_path / "visits.csv", tmp_path / "people.parquet"
    VISITS.to_csv(visits, index=False)
    PEOPLE.to_parquet(people, index=False)
    samples = [
        synthesize_linked(
            e, u, schema=LINKED, epsilon=1.0, seed=0, generator="independent"
        ).sample()
        for e, u in ((VISITS, PEOPLE), (visits, people))
    ]
    pd.testing.assert_frame_equal(samples[0].events, samples[1].events)


def test_identifiers_that_look_like_numbers_stay_texts(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("k,v\n" + "".join(f"{who},{v}\n" for who in ("1", "01") for v in (0, 1, 1)))
    events = Schema(
        unit="k", max_rows_per_unit=1, columns=(CategoricalColumn(name="v", categories=(0, 1)),)
    )
    schema = LinkedSchema(events=events, max_events=5)
    from dpsynth.linked.synthesis import read_linked

    assert read_linked(path, schema=schema).starts.frame["number of events"].tolist() == [3, 3]


@pytest.mark.slow
def test_many_units_take_seconds(fitted: LinkedSynthesis) -> None:
    sample = fitted.sample(100_000, rng=np.random.default_rng(0))
    check(sample, LINKED)


def test_events_may_be_at_dates(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(600), 1 + np.arange(600) % 4)
    day = np.datetime64("2020-01-01") + rng.integers(0, 300, len(owner)).astype("m8[D]")
    events = pd.DataFrame({"who": owner, "day": day, "kind": rng.choice(["a", "b"], len(owner))})
    time = IntegerColumn(name="day", lower=18262, upper=18627, clock=Clock(kind="date"))
    kind = CategoricalColumn(name="kind", categories=("a", "b"))
    schema = LinkedSchema(
        events=Schema(columns=(time, kind), unit="who", max_rows_per_unit=3),
        max_events=4,
        time="day",
    )
    model = synthesize_linked(events, schema=schema, epsilon=4.0, seed=0)
    made = model.sample(300)
    assert made.events["day"].dtype == "datetime64[s]"
    ordered = made.events.groupby("who")["day"].apply(
        lambda days: bool(days.is_monotonic_increasing)
    )
    assert ordered.all()
    made.save(events=tmp_path / "e.csv")
    assert pd.read_csv(tmp_path / "e.csv")["day"].str.fullmatch(r"2020-\d\d-\d\d").all()
