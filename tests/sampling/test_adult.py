"""On real records: a condition of one record in a thousand, balance, and copies of Adult."""

from itertools import combinations
from time import process_time

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.data.encoding import Codec
from dpsynth.errors import FileError
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.pgm.independent_rows import frequencies
from dpsynth.registry import DATASETS
from dpsynth.sampling.selection import Selection
from dpsynth.sampling.strata import Request
from dpsynth.synthesis import Synthesis

pytestmark = pytest.mark.slow

WHERE = {"sex": "Female", "age": ">=67", "income": ">50K"}
GRAPH = {
    "education": ["age", "sex", "race"],
    "occupation": ["education", "sex"],
    "hours-per-week": ["sex", "occupation", "age"],
    "income": ["education", "occupation", "age", "sex"],
}


@pytest.fixture(scope="module")
def adult() -> Synthesis:
    try:
        data = DATASETS.get("uci_adult")()
    except FileError as error:
        pytest.skip(str(error))
    return dpsynth.synthesize(data.table, epsilon=1.0, delta=1e-9, seed=0)


def test_a_rare_condition_is_exact_and_fast(adult: Synthesis) -> None:
    rng = np.random.default_rng(0)
    adult.sample(1, where={"sex": "Male"})  # imports, and the model's own marginals
    start = process_time()
    frame = adult.sample(1000, where=WHERE).frame
    assert process_time() - start < 1.0
    found = Selection.of(adult.model, Request(where=WHERE), rng=rng)
    assert 0.0005 < found.total / adult.model.total < 0.002
    assert len(frame) == 1000
    assert frame["age"].ge(67).all()
    assert frame["sex"].eq("Female").all()
    assert frame["income"].eq(">50K").all()


def test_rows_have_the_conditional_marginals_to_within_rounding(adult: Synthesis) -> None:
    """200,000 rows: pairs inside a clique of the tree differ by the rounding of its cells alone,
    which for independent rows of these laws would be about .004 (control: the whole model)."""
    rng, n = np.random.default_rng(1), 200_000
    found = Selection.of(adult.model, Request(where={**WHERE, "fnlwgt": ">=123456"}), rng=rng)
    codes = Codec(schema=adult.schema).encode(found.sample(n, rng=rng))
    law = found.strata.law
    assert isinstance(law, GraphicalSyntheticModel)
    names = adult.schema.names
    for model, exact in ((law.model, True), (adult.model.model, False)):  # type: ignore[attr-defined]
        cliques = model.tree.cliques
        pairs = [p for p in combinations(names, 2) if any(set(p) <= set(c) for c in cliques)]
        assert len(pairs) > 10
        gaps = [
            0.5 * np.abs(frequencies(adult.schema.domain, codes, p) - m / model.total).sum()
            for p, m in model.pairs(pairs).items()
        ]
        assert bool(max(gaps) < 0.002) is exact


def test_balance(adult: Synthesis) -> None:
    frame = adult.sample(1003, where={"age": ">=65"}, balance=["sex", "income"]).frame
    sizes = frame.groupby(["sex", "income"], observed=False).size()
    assert len(sizes) == 4
    assert set(sizes) == {250, 251}
    assert frame["age"].min() >= 65


@pytest.mark.parametrize("column", ["sex", "education", "age"])
def test_copies_of_what_was_observed_are_the_rows(adult: Synthesis, column: str) -> None:
    rows = adult.sample(10_000)
    same = adult.counterfactuals(rows, do={column: rows.frame[column]}, graph=GRAPH)
    pd.testing.assert_frame_equal(same.frame, rows.frame)
    start = process_time()
    men = adult.counterfactuals(rows, do={"sex": "Male"}, graph=GRAPH).frame
    assert process_time() - start < 10.0
    women = rows.frame["sex"].eq("Female")
    pd.testing.assert_frame_equal(men[~women], rows.frame[~women])
    assert (
        men.loc[women, "income"].eq(">50K").mean()
        > rows.frame.loc[women, "income"].eq(">50K").mean()
    )
