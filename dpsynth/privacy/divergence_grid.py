"""Upper bounds of a hockey-stick divergence on a grid of log ratios, and the steps that raise it.

T(a) is the largest divergence E_P[(1 - a dQ/dP)_+] that what is left of a plan can reach; it is
convex and falling in a, at most 1, and T(a) = 1 - a + a T(1/a), since neighbours may trade places.
A `DivergenceGrid` keeps upper bounds of T at a = exp(j width), j = 0 to `cells`; symmetry gives
those at negative j, and beyond the last the bound stays constant. Between two nodes the chord (in
a) lies above the convex T. A step turns bounds after it into bounds before it, and every float
operation is rounded up by a margin of its own. docs/research/bounded_range.md has the proofs.
"""

# pyright: reportMissingTypeStubs=false

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, expm1, log, log1p, nextafter, sqrt
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Bounds = NDArray[np.float64]

# Relative error granted to one step's arithmetic: chains of some 20 operations and library calls,
# on exponents up to `LARGEST_EXPONENT`, each of which costs its size in ulps (2**-53 each).
_ROUNDING = 2.0**-43
LARGEST_EXPONENT = 256.0
# Error granted to a normal tail, relative to it and to the square of its distance.
_TAIL_ROUNDING = 2.0**-47
# More than what underflow can take from a bound, less than any delta.
_TINY = 2.0**-1000


@final
@dataclass(frozen=True, kw_only=True)
class DivergenceGrid:
    """Nodes at a = exp(j width) for j from 0 to `cells`.

    Args:
        width: distance of log a from node to node; above 0.
        cells: number of cells, at least 1; width * cells is at most `LARGEST_EXPONENT`.
    """

    width: float
    cells: int

    def nothing_left(self) -> Bounds:
        """Return T of the empty plan, (1 - a)_+, which is 0 from a = 1 on."""
        return np.zeros(self.cells + 1)

    def range_step(self, after: Bounds, steps: int) -> Bounds:
        """Return bounds before a mechanism whose privacy loss has a range of `steps` widths.

        Its worst law has two points, the ratios u/a and r u/a with r = exp(steps width), for the
        worst u in [a/r, a]: T becomes the largest of the chords over [u, r u] at a. Between two
        nodes u the interpolated chord is at most the larger of the two chords at the nodes plus
        `bend`, a quarter of the product of two differences.

        Args:
            after: upper bounds of T after the mechanism.
            steps: the range, in grid widths, at least 1.

        Reference: Dong, Durfee & Rogers 2020, sections 4 and 6.
        """
        span, nodes = steps * self.width, self.cells + 1
        values = self._extended(after, steps)
        drops = values[:-steps] - values[steps:]
        bend = np.maximum(exp(self.width) * (1.0 + _ROUNDING) * drops[:-1] - drops[1:], 0.0) / 4.0
        bend += _ROUNDING * values[: bend.size]
        best = np.zeros(nodes)
        upper = values[steps : steps + nodes]  # u at a itself: the law has no second point
        for k in range(steps):
            start = steps - k - 1  # of the lower node of the cell, k + 1 widths below a
            weight = expm1(-(steps - k - 1) * self.width) / expm1(-span)
            weight_change = exp((k - steps) * self.width) * expm1(self.width) / -expm1(-span)
            lower = weight * drops[start : start + nodes]
            lower += values[start + steps : start + steps + nodes]
            chord = np.maximum(lower, upper)
            chord += weight_change * bend[start : start + nodes]
            np.maximum(best, chord, out=best)
            upper = lower
        return self._rounded_up(best)

    def pure_step(self, after: Bounds, steps: int) -> Bounds:
        """Return bounds before a mechanism whose privacy loss is within +- `steps` widths.

        Its worst law is randomised response.

        Args:
            after: upper bounds of T after the mechanism.
            steps: the bound of the loss, in grid widths, at least 1.

        Reference: Kairouz, Oh & Viswanath 2015, Theorem 2.
        """
        nodes = self.cells + 1
        values = self._extended(after, steps)
        far = values[2 * steps : 2 * steps + nodes]
        kept = 1.0 / (1.0 + exp(-steps * self.width))
        return self._rounded_up(far + kept * (values[:nodes] - far))

    def gaussian_step(self, after: Bounds, mu: float, *, truncated: float) -> Bounds:
        """Return bounds before a mechanism that is mu-Gaussian DP.

        Its worst law is the pair N(mu, 1), N(0, 1); each cell of its loss gives its mass to the two
        nodes around it, by the chord.

        Args:
            after: upper bounds of T after the mechanism.
            mu: above 0.
            truncated: mass of the loss's upper tail that may be counted as certain failure; it is
                added, so it only decides the work.

        Reference: Dong, Roth & Su 2019, Definition 2.6 and Theorem 2 (Blackwell).
        """
        weights, below, above = _gaussian_weights(self.width, mu, truncated)
        reach = weights.size // 2
        values = self._extended(after, reach)
        summed = np.convolve(values, weights, mode="valid")
        summed *= 1.0 + (weights.size + 2) * 2.0**-52  # non-negative terms, summed in any order
        summed += below * values[2 * reach :] + above
        return self._rounded_up(summed)

    def epsilon(self, bounds: Bounds, delta: float) -> float | None:
        """Return the log ratio from which T is at most `delta`, or None beyond the last node."""
        within = np.flatnonzero(bounds <= delta)
        if within.size == 0:
            return None
        node = int(within[0])
        if node == 0:
            return 0.0
        left, right = float(bounds[node - 1]), float(bounds[node])
        part = min(1.0, (left - delta) / (left - right) * (1.0 + _ROUNDING) + 2.0**-40)
        found = (node - 1) * self.width + log1p(part * expm1(self.width))
        return found * (1.0 + _ROUNDING)

    def _extended(self, bounds: Bounds, reach: int) -> Bounds:
        """Return bounds at nodes -reach to cells + reach, falling from left to right."""
        mirrored = np.arange(min(reach, self.cells), 0, -1)
        ratios = np.exp(-mirrored * self.width)
        left = -np.expm1(-mirrored * self.width) + ratios * bounds[mirrored]
        values = np.concatenate(
            [
                np.ones(reach - mirrored.size),
                np.minimum(left * (1.0 + _ROUNDING), 1.0),
                bounds,
                np.full(reach, bounds[-1]),
            ]
        )
        return np.maximum.accumulate(values[::-1])[::-1]

    def _rounded_up(self, bounds: Bounds) -> Bounds:
        return np.minimum(bounds * (1.0 + _ROUNDING) + _TINY, 1.0)


@lru_cache(maxsize=64)  # a plan repeats its few kinds of Gaussian
def _gaussian_weights(width: float, mu: float, truncated: float) -> tuple[Bounds, float, float]:
    """Return the weight of each loss k width, |k| <= reach, and the masses below and above.

    Within a cell [x, x + width] of mass P, and mass Q under the other hypothesis, the chord in
    exp(-loss) gives the upper node (P - exp(x) Q) / (1 - exp(-width)) and the lower node the rest.
    Both differences cancel, so their error bounds are added before they are divided.
    """
    half = mu * mu / 2.0
    reach = ceil((half + mu * sqrt(-2.0 * log(truncated))) / width)
    loss = np.arange(-reach, reach + 1, dtype=np.float64) * width
    mass, mass_error = _cell_masses((loss - half) / mu, loss, mu)
    other, other_error = _cell_masses((loss + half) / mu, loss, mu)
    scale = np.exp(loss[:-1])
    other, other_error = scale * other, scale * other_error
    error = mass_error + other_error
    most = mass + mass_error
    whole = -expm1(-width) * (1.0 - _ROUNDING)
    to_upper = np.clip((mass - other + error) / whole, 0.0, most)
    to_lower = np.clip((other - exp(-width) * mass + error) / whole, 0.0, most)
    weights = np.concatenate([to_lower, [0.0]]) + np.concatenate([[0.0], to_upper])
    weights *= 1.0 + _ROUNDING
    below, above = (float(ndtr((-reach * width + sign * half) / mu)) for sign in (-1.0, 1.0))
    square = (2.0 + (reach * width + half) / mu * 2.0 + mu) ** 2
    margin = 1.0 + _TAIL_ROUNDING * square
    return weights, nextafter(below * margin, 1.0), nextafter(above * margin, 1.0)


def _cell_masses(z: Bounds, loss: Bounds, mu: float) -> tuple[Bounds, Bounds]:
    """Return the normal mass between neighbouring `z`, and a bound on its error.

    A mass is the difference of two tails on the side where they are small; the larger carries an
    error of some ulps times the square of its distance (the hazard times the error of z).
    """
    below: Bounds = ndtr(z)
    above: Bounds = ndtr(-z)
    right = z[:-1] > 0.0
    mass: Bounds = np.where(right, above[:-1] - above[1:], below[1:] - below[:-1])
    larger: Bounds = np.where(right, above[:-1], below[1:])
    distance = 2.0 + np.maximum(np.abs(z[:-1]), np.abs(z[1:])) + np.abs(loss[:-1]) / mu + mu
    return mass, _TAIL_ROUNDING * larger * (distance * distance + np.abs(loss[:-1]))
