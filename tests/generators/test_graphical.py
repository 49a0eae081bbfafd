"""What marginal generators release keeps the measurements, and says how far off it may be."""

from dataclasses import replace

import numpy as np
import pytest

import dpsynth
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.generators.limits import Limits, running
from dpsynth.generators.marginal.mst import Mst
from dpsynth.pgm.blocks import BLOCK_ROWS
from dpsynth.synthesis import Synthesis
from tests.generators.planted import fit, planted_table

TABLE = planted_table()
MARGINAL = ["independent", "mst", "mwem", "aim", "two_stage"]


def release(name: str, **more) -> GraphicalSyntheticModel:
    model = dpsynth.synthesize(TABLE, generator=name, epsilon=1.0, seed=0, **more).model
    assert isinstance(model, GraphicalSyntheticModel)
    return model


def drawn_plainly(model: GraphicalSyntheticModel, n: int, *, seed: int) -> np.ndarray:
    rows = model.model.sample(n, rng=np.random.default_rng(seed))
    return rows[:, : len(model.schema.names)]


def pair_of(schema: Schema) -> tuple[str, str]:
    return schema.names[0], schema.names[-1]


@pytest.mark.parametrize("name", MARGINAL)
def test_measurements_are_kept(name: str) -> None:
    model = release(name)
    cliques = {m.clique for m in model.measurements}
    assert cliques >= {(a,) for a in model.schema.names}
    assert set().union(*model.model.cliques) == set().union(*cliques)
    errors = model.uncertainty(rng=np.random.default_rng(0), draws=4)
    first = model.schema.names[0]
    # No more than the noise of its own measurement: others bear on it too.
    own = min(m.sigma for m in model.measurements if m.clique == (first,))
    assert 0 < errors.standard_error((first,))[0] < own
    assert (errors.standard_error(pair_of(model.schema)) > 0).all()


def test_saved_models_give_the_same_errors(tmp_path) -> None:
    fitted = dpsynth.synthesize(TABLE, generator="mst", epsilon=1.0, seed=0)
    fitted.save(tmp_path / "model")
    found = []
    for model in (fitted.model, Synthesis.load(tmp_path / "model").model):
        assert isinstance(model, GraphicalSyntheticModel)
        errors = model.uncertainty(rng=np.random.default_rng(1), draws=4)
        answer = errors.marginals([pair_of(model.schema)])[pair_of(model.schema)]
        found.append((answer.unbiased, answer.standard_error))
    np.testing.assert_array_equal(np.stack(found[0]), np.stack(found[1]))


def test_a_model_saved_without_measurements_still_loads_and_samples() -> None:
    model = release("mst")
    kept = {"total", "cliques", "potentials"}
    old = {name: array for name, array in model.arrays().items() if name in kept}
    loaded = GraphicalSyntheticModel.from_arrays(model.schema, old)
    again = loaded.sample_codes(9, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(drawn_plainly(model, 9, seed=0), again)
    with pytest.raises(InvalidValueError, match="at least one noisy marginal"):
        loaded.uncertainty(rng=np.random.default_rng(0))


def test_a_conditional_part_claims_no_errors() -> None:
    """Measurements are of all records: what they say is nothing about a part of them."""
    model = release("mst")
    part = model.given({model.schema.names[0]: 0})
    with pytest.raises(InvalidValueError, match="at least one noisy marginal"):
        part.uncertainty(rng=np.random.default_rng(0))


def test_a_public_total_has_no_error() -> None:
    model = release("independent", relation="replace")
    assert model.public_total
    first = model.schema.names[0]
    ones = np.ones(model.schema.domain.sizes[first])
    errors = model.uncertainty(rng=np.random.default_rng(0))
    assert errors.query((first,), ones).standard_error == 0
    assert not release("independent").public_total


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("measured", np.array([[99]])),
        ("measured", np.array([0.0])),
        ("measured_values", np.zeros(3)),
        ("measured_values", np.full(sum(TABLE.schema.domain.shape), np.nan)),
        ("measured_sigmas", np.zeros(2)),
    ],
)
def test_damaged_measurements_are_refused(name: str, array: np.ndarray) -> None:
    model = release("independent")
    with pytest.raises(InvalidValueError, match="measured"):
        GraphicalSyntheticModel.from_arrays(model.schema, {**model.arrays(), name: array})


@pytest.mark.parametrize("name", ["independent", "mst", "two_stage"])
def test_codes_are_drawn_anew(name: str) -> None:
    model = release(name)
    rows = model.sample_codes(500, rng=np.random.default_rng(3))
    assert (rows != drawn_plainly(model, 500, seed=3)).any()
    blocks = list(model.code_blocks(500, rng=np.random.default_rng(3)))
    np.testing.assert_array_equal(np.concatenate(blocks), rows)


@pytest.mark.parametrize(("name", "n"), [("mst", 120_000), ("two_stage", BLOCK_ROWS + 1)])
def test_codes_of_many_rows_stay(name: str, n: int) -> None:
    """The fewer, the simpler the tree is: a tree of pairs is rounded well as it is."""
    model = release(name)
    rows = model.sample_codes(n, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(rows, drawn_plainly(model, n, seed=3))


def test_larger_cliques_are_worth_more_work() -> None:
    model = release("two_stage")
    assert any(len(clique) > 2 for clique in model.model.tree.cliques)
    rows = model.sample_codes(120_000, rng=np.random.default_rng(3))
    assert (rows != drawn_plainly(model, 120_000, seed=3)).any()


def test_codes_of_a_part_stay() -> None:
    part = release("two_stage").given({"c0": 1})
    rows = part.sample_codes(500, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(rows, drawn_plainly(part, 500, seed=3))


def test_codes_stay_where_the_time_is_over() -> None:
    model = release("two_stage")
    _, private, _ = fit(Mst(), TABLE, epsilon=1.0)
    with running(Limits(seconds=1e-9)):
        late = GraphicalSyntheticModel.of(private, model.model, model.measurements)
    with running(Limits(seconds=1000)):
        early = GraphicalSyntheticModel.of(private, model.model, model.measurements)
    assert early.redraw
    assert not late.redraw
    rows = late.sample_codes(500, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(rows, drawn_plainly(model, 500, seed=3))


@pytest.mark.parametrize("redraw", [True, False])
def test_saved_models_draw_the_same_rows(redraw: bool) -> None:
    model = replace(release("two_stage"), redraw=redraw)
    loaded = GraphicalSyntheticModel.from_arrays(model.schema, model.arrays())
    rows, again = (m.sample_codes(500, rng=np.random.default_rng(3)) for m in (model, loaded))
    np.testing.assert_array_equal(rows, again)
