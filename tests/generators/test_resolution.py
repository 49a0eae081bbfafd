"""Coarse groups cost less and show less: what is chosen, and what is then bought."""

import numpy as np
import pytest

from dpsynth.curator.interactions import InteractionQuery
from dpsynth.curator.merging import MergedQuery
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.queries import MarginalQuery
from dpsynth.data.columns import CategoricalColumn, FloatColumn
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.generators.marginal.purchase import bought_in_groups
from dpsynth.generators.marginal.resolution import Resolved, coarser, share_kept
from dpsynth.generators.marginal.shortlist import Shortlist
from dpsynth.generators.marginal.two_stage import TwoStage
from dpsynth.pgm.measurement import MEAN_SIZE
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import ResearchNoise
from tests.generators.planted import fit
from tests.tables import coded_table

NUMBER = FloatColumn(name="x", lower=0.0, upper=16.0, bins=16)
CATEGORY = CategoricalColumn(name="y", categories=tuple("abcd"))
GROUPS = {"x": np.repeat(np.arange(4), 4), "y": np.array([0, 0, 1, 1])}


def slope_table(n: int = 6000):
    """Four columns of 24 codes: two rise together, softly, and nothing else depends."""
    rng = np.random.default_rng(7)
    codes = rng.integers(0, 24, (n, 4))
    near = np.clip(codes[:, 0] + np.rint(rng.normal(0.0, 6.0, n)).astype(int), 0, 23)
    codes[:, 1] = np.where(rng.random(n) < 0.5, near, codes[:, 1])
    return coded_table(codes, (24,) * 4)


def test_resolutions_get_coarser_and_never_empty() -> None:
    counts = {"x": np.full(16, 10.0), "y": np.array([5.0, 5.0, 400.0, 2.0])}
    found = coarser({"x": NUMBER, "y": CATEGORY}, counts, least=10.0)
    assert [int(g["x"].max()) + 1 for g in found] == [6, 2, 2]  # 270 of 160 records: as before
    assert [g["y"].tolist() for g in found] == [[0, 0, 1, 2]] * 3
    kept = coarser({"x": NUMBER, "y": CATEGORY}, counts, least=10.0, keep="x")
    assert all((g["x"] == np.arange(16)).all() for g in kept)


def test_tables_are_sums_and_shares_fall() -> None:
    fine = np.arange(64.0).reshape(16, 4)
    found = Resolved.of(("x", "y"), fine, [GROUPS, GROUPS])
    assert found.tables[1].tolist() == fine.reshape(4, 4, 2, 2).sum(axis=(1, 3)).tolist()
    assert found.kept[1] == pytest.approx((1 - 1.5 / 4) / (1 - 1.5 / 16) * 0.25 / (1 - 1.5 / 4))
    assert found.kept[2] == 0.0  # no other than the one before
    assert share_kept((1, 4), (16, 4)) == 0.0
    assert share_kept((16, 4), (16, 4)) == 1.0
    turned = Resolved.of(("y", "x"), fine.T, [GROUPS])
    assert (turned.tables[1] == found.tables[1].T).all()


def test_what_noise_would_drown_is_known_in_groups() -> None:
    found = Resolved.of(("x",), np.full(16, 100.0), [{"x": GROUPS["x"]}])

    def value(gain: float, sigma: float, doubt: float = 0.0) -> tuple[float, int]:
        return found.worth(gain, sigma=sigma, kappa=2.0, doubt=doubt)

    assert value(500.0, 1.0) == (pytest.approx(500.0 - 16 * MEAN_SIZE), 0)
    chance = MEAN_SIZE * (16 * 10.0 - 4 * 20.0)
    coarse = (1 - 1.5 / 4) / (1 - 1.5 / 16) * (500.0 - chance) - 4 * 40.0 * MEAN_SIZE
    assert value(500.0, 40.0) == (pytest.approx(coarse), 1)
    # A gain that its own noise explains is no reason to buy in groups.
    assert value(500.0, 40.0, doubt=500.0)[1] == 0


def test_each_marginal_is_bought_at_its_own_resolution() -> None:
    private = PrivateData(
        slope_table(),
        Budget(epsilon=1.0, delta=1e-9),
        noise=ResearchNoise(rng=np.random.default_rng(0)),
        accountant="gdp",
    )
    names = private.domain.attributes
    coarse = [{a: np.arange(24) // width for a in names} for width in (3, 8)]
    pairs = (("c0", "c1"), ("c1", "c2"), ("c2", "c3"))
    listed = Shortlist(cliques=pairs, shares=(0.2, 0.5, 0.3), levels=(2, 0, 1))
    found = bought_in_groups(private, listed, coarse, sigma_of=lambda share: 50.0 / share**0.5)
    by_clique = {m.clique: m for m in found}
    assert [by_clique[pair].values.shape for pair in pairs] == [(3, 3), (24, 24), (8, 8)]
    # Interactions of few codes cost less: what one-ways say of a pair is known already.
    noise = [private.interaction_noise(by_clique[pair].values.shape) for pair in pairs]
    assert noise == pytest.approx([2 / 3, 23 / 24, 7 / 8])
    wanted = [50.0 * n / share**0.5 for n, share in zip(noise, listed.shares, strict=True)]
    assert [by_clique[pair].sigma for pair in pairs] == pytest.approx(wanted)
    assert all(m.centred for m in found)
    assert by_clique["c0", "c1"].groups == (tuple(i // 8 for i in range(24)),) * 2
    assert not by_clique["c1", "c2"].grouped


def test_a_soft_dependence_is_bought_in_groups_and_charged_as_such() -> None:
    table = slope_table()
    model, private, seen = fit(TwoStage(), table, epsilon=0.4)
    assert isinstance(model, GraphicalSyntheticModel)
    grouped = [m for m in model.measurements if m.grouped]
    assert grouped
    charged = [
        o.query.exact(np.zeros((1, 4), dtype=int), private.domain).shape
        for o in seen
        if o.label.startswith(("marginal", "interactions"))
        and isinstance(o.query, MarginalQuery | InteractionQuery | MergedQuery)
    ]
    assert sorted(m.values.shape for m in model.measurements) == sorted(charged)
    again = GraphicalSyntheticModel.from_arrays(table.schema, model.arrays())
    for one, other in zip(model.measurements, again.measurements, strict=True):
        assert (one.clique, one.sigma, one.groups) == (other.clique, other.sigma, other.groups)
        assert (one.values == other.values).all()
    drawn = model.sample_codes(6000, rng=np.random.default_rng(0)).astype(float)
    real = np.corrcoef(table.frame["c0"], table.frame["c1"])[0, 1]
    assert np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1] == pytest.approx(real, abs=0.15)
    assert abs(np.corrcoef(drawn[:, 2], drawn[:, 3])[0, 1]) < 0.1
