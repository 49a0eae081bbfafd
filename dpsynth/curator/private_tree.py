"""PrivTree on one column: intervals that are halved where records are dense, however deep."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import exp, floor, inf, log, log1p
from typing import final

from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Budget, Neighbouring

_DEEPEST = 100


@final
@dataclass(frozen=True, kw_only=True)
class PrivateTree:
    """Halves an interval while its count, less `decay` a level, plus Laplace noise, is above 0.

    Sensitivity: let one row come or go. It lies in one interval a level, along one path from the
    root; decisions elsewhere have equal laws. With b the biased count max(-decay, count - depth
    decay) of the larger table, a decision to halve is at most exp(r(b)) times as likely there,
    r(b) = ln Pr[noise > -b] - ln Pr[noise > 1 - b], and the decision not to halve at most
    exp(1 / scale) times as likely in the smaller one. r falls as b grows, for the noise is
    log-concave, and where b = -decay both tables have the same law. Along the path b falls by at
    least decay a level until then, so the last b above -decay are more than -decay, 0, decay,
    2 decay, ...: all decisions to halve together cost at most the sum of r over these
    (`row_epsilon`), however deep the tree is. A unit of k rows costs k times that under
    ADD_REMOVE; under REPLACE k rows go and k come, 2k times.
    Cost: one pure event of that epsilon.

    Args:
        scale: of the Laplace noise, in records.
        discrete: whether the noise is on the integers (release mode).

    Reference: Zhang, Xiao & Xie 2016 (PrivTree), Theorem 3.1 and section 3.3; the sum is taken
        term by term here, for continuous and for discrete noise, instead of their closed bound.
    """

    scale: float
    discrete: bool

    @property
    def decay(self) -> float:
        """What a count loses a level, in records: scale times ln 2, as for two children."""
        return self.scale * log(2.0)

    @property
    def row_epsilon(self) -> float:
        """Epsilon of one row that comes or goes, rounded up."""
        total, level = 0.0, -1
        while True:
            cost = self._loss(level * self.decay)
            total += cost
            if cost < 1e-12:
                break
            level += 1
        # What is left out falls by more than half a level: it is less than twice the last term.
        return max(1.0 / self.scale, total + 2e-12) * (1.0 + 2.0**-40)

    def _loss(self, biased: float) -> float:
        return self._log_tail(-biased) - self._log_tail(1.0 - biased)

    def _log_tail(self, t: float) -> float:
        """Return ln Pr[noise > t]."""
        if not self.discrete:
            return log1p(-0.5 * exp(t / self.scale)) if t < 0 else log(0.5) - t / self.scale
        steps, log_ratio = floor(t), -1.0 / self.scale
        whole = -log1p(exp(log_ratio))  # ln of 1 / (1 + ratio)
        if steps >= 0:
            return (steps + 1) * log_ratio + whole
        return log1p(-exp(-steps * log_ratio + whole))

    def grow(
        self,
        below: Callable[[float], int],
        lower: float,
        upper: float,
        *,
        narrowest: float,
        draw: Callable[[], float],
    ) -> list[float]:
        """Return the edges of the leaves, `lower` first and `upper` last.

        Args:
            below: number -> how many records have a value less than it; of `lower` none, of
                `upper` all that have a value: secret.
            lower, upper: the interval at the root.
            narrowest: intervals of at most this width are not halved.
            draw: one draw of the noise.
        """
        edges, pending = [lower], [(lower, upper, 0, below(lower), below(upper))]
        while pending:
            start, stop, depth, before, until = pending.pop()
            middle = start + (stop - start) / 2
            tiny = stop - start <= narrowest or depth >= _DEEPEST or not start < middle < stop
            if not tiny:
                biased = max(-self.decay, until - before - depth * self.decay)
                if biased + draw() > 0:
                    half, deeper = below(middle), depth + 1
                    pending.append((middle, stop, deeper, half, until))
                    pending.append((start, middle, deeper, before, half))
                    continue
            edges.append(stop)
        return edges


@lru_cache(maxsize=64)
def tree_for(epsilon: float, budget: Budget, *, discrete: bool) -> PrivateTree:
    """Return the tree of least noise that costs at most `epsilon`.

    Raises:
        InvalidValueError: epsilon not above 0.
    """
    if not 0 < epsilon < inf:
        raise InvalidValueError("epsilon", epsilon, "a finite number above 0")
    rows = budget.max_rows_per_unit * (2 if budget.relation is Neighbouring.REPLACE else 1)
    low, high = 0.5 * rows / epsilon, 64.0 * rows / epsilon + 64.0
    for _ in range(60):
        middle = (low * high) ** 0.5
        found = PrivateTree(scale=middle, discrete=discrete).row_epsilon * rows
        low, high = (middle, high) if found > epsilon else (low, middle)
    return PrivateTree(scale=high, discrete=discrete)
