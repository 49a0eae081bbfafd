"""The grid's bounds: against 30 digits, from above, and close."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy.special import ndtr

from dpsynth.privacy import divergence_grid
from dpsynth.privacy.divergence_grid import DivergenceGrid

Curve = Callable[[Any], Any]
TRUNCATED = 1e-18


def nothing_left(e: Any) -> Any:
    return max(mpf(0), -mp.expm1(e))


def one_range(eta: float) -> Curve:
    """The closed form of a single mechanism of bounded range."""
    r = mp.exp(mpf(eta))

    def curve(e: Any) -> Any:
        if e >= eta:
            return mpf(0)
        if e <= -eta:
            return -mp.expm1(e)
        return (mp.sqrt(r) - mp.exp(e / 2)) ** 2 / (r - 1)

    return curve


def one_gaussian(mu: float) -> Curve:
    m = mpf(mu)
    return lambda e: mp.ncdf(m / 2 - e / m) - mp.exp(e) * mp.ncdf(-m / 2 - e / m)


def ranged(after: Curve, eta: float, *, points: int, refinements: int = 0) -> Curve:
    """The recursion at some t: never above the truth, and close with enough of them."""
    span = mpf(eta)
    r = mp.exp(span)

    def curve(e: Any) -> Any:
        def chord(t: Any) -> Any:
            p = (r - mp.exp(t)) / (r - 1)
            return p * after(e - t) + (1 - p) * after(e - t + span)

        found, best = max((chord(span * k / points), k) for k in range(points + 1))
        low, high = span * max(best - 1, 0) / points, span * min(best + 1, points) / points
        for _ in range(refinements):
            left, right = low + (high - low) * 0.45, high - (high - low) * 0.45
            at_left, at_right = chord(left), chord(right)
            found = max(found, at_left, at_right)
            low, high = (low, right) if at_left > at_right else (left, high)
        return found

    return curve


def gaussian(after: Curve, mu: float, *, kinks: Sequence[float]) -> Curve:
    """The Gaussian step by quadrature, cut where `after` has kinks."""
    m = mpf(mu)

    def curve(e: Any) -> Any:
        edge = 12 * m
        cuts = sorted({-edge, edge, *(c for k in kinks if abs(c := e - k - m * m / 2) < edge)})
        return mp.quad(lambda x: after(e - x - m * m / 2) * mp.npdf(x, 0, m), cuts)

    return curve


@pytest.fixture(autouse=True)
def digits() -> Any:
    with mp.workdps(30):
        yield


def smooth_gaussian(after: Curve, mu: float) -> Curve:
    """The Gaussian step by the trapezoid rule, which converges exponentially if `after` is smooth;
    the largest of several smooth curves is nearly so."""
    m, n = mpf(mu), 72

    def curve(e: Any) -> Any:
        points = [11 * m * k / n for k in range(-n, n + 1)]
        return sum(after(e - x - m * m / 2) * mp.npdf(x, 0, m) for x in points) * 11 * m / n

    return curve


Plan = Sequence[tuple[str, float]]


def bounds(plan: Plan, *, width: float, last: float) -> tuple[DivergenceGrid, np.ndarray]:
    grid = DivergenceGrid(width=width, cells=round(last / width))
    values = grid.nothing_left()
    for kind, size in reversed(plan):
        steps = round(size / width)
        if kind == "gaussian":
            values = grid.gaussian_step(values, size, truncated=TRUNCATED)
        elif kind == "range":
            values = grid.range_step(values, steps)
        else:
            values = grid.pure_step(values, steps)
    return grid, values


ETA, MU = 0.5, 0.25  # dyadic, so that the ranges are whole numbers of dyadic widths
CASES: dict[str, tuple[Plan, Callable[[], Curve], tuple[float, ...]]] = {
    "one range": ([("range", ETA)], lambda: one_range(ETA), (0.0, 0.0625, 0.25, 0.4375, 0.5)),
    "one Gaussian": ([("gaussian", MU)], lambda: one_gaussian(MU), (0.0, 0.25, 1.0, 1.5)),
    "two ranges": (
        [("range", ETA), ("range", 0.25)],
        lambda: ranged(one_range(0.25), ETA, points=100, refinements=12),
        (0.0, 0.1875, 0.5, 0.6875),
    ),
    "range, Gaussian": (
        [("range", ETA), ("gaussian", MU)],
        lambda: ranged(one_gaussian(MU), ETA, points=40, refinements=12),
        (0.0, 0.5, 1.0, 1.75),
    ),
    "Gaussian, range": (
        [("gaussian", MU), ("range", ETA)],
        lambda: gaussian(one_range(ETA), MU, kinks=[-ETA, ETA]),
        (0.0, 0.5, 1.0, 1.75),
    ),
    "Gaussian, range, Gaussian": (
        [("gaussian", MU), ("range", ETA), ("gaussian", MU)],
        lambda: smooth_gaussian(ranged(one_gaussian(MU), ETA, points=8, refinements=5), MU),
        (1.5,),
    ),
    "range, Gaussian, range": (
        [("range", ETA), ("gaussian", MU), ("range", 0.25)],
        lambda: ranged(
            gaussian(one_range(0.25), MU, kinks=[-0.25, 0.25]), ETA, points=8, refinements=6
        ),
        (1.5,),
    ),
}


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=pytest.mark.slow) if c.count(",") == 2 else c for c in CASES],
)
def test_bounds_are_never_below_thirty_digits_and_come_down_to_them(case: str) -> None:
    plan, make, arguments = CASES[case]
    exact = make()
    truths = [float(exact(mpf(e))) for e in arguments]
    gaps: list[float] = []
    for width in (2.0**-5, 2.0**-7, 2.0**-9):
        grid, values = bounds(plan, width=width, last=3.0)
        found = [float(values[round(e / grid.width)]) for e in arguments]
        assert all(ours >= truth for ours, truth in zip(found, truths, strict=True))
        # what rounding margins alone may add does not count
        gaps.append(max(max(o - t * 1.000001, 0.0) for o, t in zip(found, truths, strict=True)))
        if width == 2.0**-9:
            # the references are themselves a little low
            assert found == pytest.approx(truths, rel=2e-3, abs=1e-13)
    assert gaps[0] >= gaps[1] >= gaps[2]


def test_a_range_of_any_two_points_is_covered_between_the_nodes() -> None:
    """At this width the worst t of the closed form lies between two nodes."""
    width = 0.125
    grid, values = bounds([("range", ETA)], width=width, last=3.0)
    exact = one_range(ETA)
    nodes = [float(exact(mpf(width) * j)) for j in range(grid.cells + 1)]
    assert (values >= nodes).all()
    only_nodes = ranged(nothing_left, ETA, points=round(ETA / width))
    assert float(only_nodes(mpf(width))) < nodes[1]  # negative control: nodes alone fall short


def test_randomised_response_is_exact_at_nodes() -> None:
    grid, values = bounds([("pure", ETA)], width=2.0**-6, last=3.0)
    kept = 1 / (1 + mp.exp(-mpf(ETA)))
    nodes = [mp.exp(mpf(grid.width) * j) for j in range(grid.cells + 1)]
    truth = np.array([float(max(kept - a * (1 - kept), mpf(0))) for a in nodes])
    assert (values >= truth - 1e-28).all()  # where kept - a (1 - kept) is 0, up to 30 digits
    assert values == pytest.approx(truth, abs=1e-12)


def test_bounds_stay_in_order_and_below_one() -> None:
    plan: Plan = [("gaussian", 2.0), ("range", 4.0), ("pure", 1.0), ("range", 0.25)] * 3
    _, values = bounds(plan, width=2.0**-4, last=20.0)
    assert (np.diff(values) <= 0.0).all()
    assert 0.0 < values[-1] <= values[0] <= 1.0


def test_a_grid_that_ends_early_only_adds() -> None:
    plan: Plan = [("range", 0.25), ("gaussian", MU), ("range", ETA), ("pure", 0.125)]
    _, whole = bounds(plan, width=2.0**-6, last=4.0)
    _, cut = bounds(plan, width=2.0**-6, last=0.5)
    assert (cut >= whole[: cut.size]).all()
    assert cut[-1] > 1.1 * whole[cut.size - 1]


def test_losses_rounded_down_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: weights at the lower node of each cell give less than the truth."""
    honest = divergence_grid._gaussian_weights  # pyright: ignore[reportPrivateUsage]

    def rounded_down(width: float, mu: float, truncated: float) -> Any:
        weights, below, above = honest(width, mu, truncated)
        moved = np.concatenate([weights[1:], [0.0]])
        return (weights + moved) / 2.0, below, above

    truth = float(one_gaussian(MU)(mpf(1)))
    _, values = bounds([("gaussian", MU)], width=2.0**-7, last=3.0)
    assert values[2**7] >= truth
    monkeypatch.setattr(divergence_grid, "_gaussian_weights", rounded_down)
    _, values = bounds([("gaussian", MU)], width=2.0**-7, last=3.0)
    assert values[2**7] < truth


@pytest.mark.parametrize(("width", "mu"), [(2.0**-12, 0.05), (2.0**-9, 0.25), (2.0**-5, 3.0)])
def test_weights_hold_the_masses_of_both_hypotheses(width: float, mu: float) -> None:
    """Each weight is at least that of the exact chord, and all are hardly more than 1."""
    weights, below, above = divergence_grid._gaussian_weights(  # pyright: ignore[reportPrivateUsage]
        width, mu, 1e-16
    )
    assert 1.0 <= weights.sum() + below + above <= 1.0 + 1e-6
    mp.dps = 80  # the differences cancel
    reach, m, h = weights.size // 2, mpf(mu), mpf(width)
    for k in np.linspace(-reach + 1, reach - 1, 25).round().astype(int):
        exact = mpf(0)
        for cell, to_upper in ((int(k) - 1, True), (int(k), False)):
            x = cell * h
            z = [(x + s * h - m * m / 2) / m for s in (0, 1)]
            p = mp.ncdf(z[1]) - mp.ncdf(z[0])
            q = mp.exp(x) * (mp.ncdf(z[1] + m) - mp.ncdf(z[0] + m))
            up = (p - q) / -mp.expm1(-h)
            exact += up if to_upper else p - up
        ours = float(weights[k + reach])
        assert float(exact) <= ours <= float(exact) * (1.0 + 1e-4)


def test_normal_tails_are_as_good_as_the_margin_says() -> None:
    """The one library function on which the weights rest, to a quarter of what is granted."""
    granted = divergence_grid._TAIL_ROUNDING / 4.0  # pyright: ignore[reportPrivateUsage]
    for z in np.concatenate([np.linspace(-30.0, 5.0, 401), -np.geomspace(1e-9, 1.0, 50)]):
        exact = mp.ncdf(mpf(float(z)))
        assert abs(mpf(float(ndtr(z))) - exact) <= granted * (1.0 + z * z) * exact
