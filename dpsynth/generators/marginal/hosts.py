"""Which cliques of a junction tree to measure so that its pairs are known at the least error."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import combinations
from math import sqrt
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.marginal.noise_cost import split_budget
from dpsynth.generators.marginal.shortlist import Shortlist
from dpsynth.pgm.measurement import MEAN_SIZE

_LENGTHS = (2, 4, 8, 16, 32, 64, 128)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Hosting:
    """Pairs to know, and cliques that may be measured for them.

    A measured clique hosts pairs inside it: a pair of n cells, summed from a clique of m cells
    with noise sigma, has noise sigma sqrt(m / n) in each cell. It costs that, times sqrt(2/pi), but
    never more than `kappa` times its expected count, as `noise_cost` says; a pair that nothing
    hosts costs its error.

    Args:
        domain: of all attributes.
        gains: estimated L1 error of each pair as long as nothing hosts it, in records.
        expected: counts of each pair under the present model; public.
        cliques: what may be measured: pairs and triples whose pairs have gains.
        sigma_of: share of the budget -> standard deviation of a marginal's noise.
        kappa: most that a cell costs, in expected counts; infinite for the noise alone.
    """

    domain: Domain
    gains: Mapping[Clique, float]
    expected: Mapping[Clique, NDArray[np.float64]]
    cliques: Sequence[Clique]
    sigma_of: Callable[[float], float]
    kappa: float

    def shortlist(self) -> Shortlist | None:
        """Return what to measure and its shares of the budget; None where nothing is worth it.

        For each supposed length of the list cliques are added greedily, whichever lowers the total
        most, under the noise that an equal split among so many would give; then the budget is
        split in closed form, and the list whose total comes out least is kept.
        """
        best: tuple[float, Shortlist] | None = None
        for length in _LENGTHS:
            hosts = _Greedy(hosting=self, sigma=self.sigma_of(1 / length)).hosts()
            if not hosts:
                continue
            total, found = self._settled(hosts)
            if best is None or total < best[0]:
                best = total, found
            if 2 * len(found.cliques) <= length:
                break  # longer lists only buy the same marginals with less budget each
        nothing = sum(self.gains.values())
        return best[1] if best is not None and best[0] < nothing else None

    def price(self, pair: Clique, host: Clique, sigma: float) -> tuple[float, float]:
        """Return in how many cells of a pair noise counts, each scaled to the host's noise, and
        the cost of the others, in records."""
        cells = self.domain.project(pair).cells
        ratio = sqrt(self.domain.project(host).cells / cells)
        if self.kappa == np.inf:
            return cells * ratio, 0.0
        bound = self.kappa * self.expected[pair]
        few = bound <= MEAN_SIZE * sigma * ratio
        return (cells - int(few.sum())) * ratio, float(bound[few].sum())

    def _settled(self, hosts: Mapping[Clique, Clique]) -> tuple[float, Shortlist]:
        """Return the total cost under the best split of the budget, and the list with its shares.

        Args:
            hosts: pair -> the clique that is measured for it.
        """
        cliques = tuple(dict.fromkeys(hosts.values()))
        place = {clique: i for i, clique in enumerate(cliques)}

        def weigh(shares: Sequence[float]) -> list[float]:
            weights = [0.0] * len(cliques)
            for pair, host in hosts.items():
                sigma = self.sigma_of(shares[place[host]])
                weights[place[host]] += self.price(pair, host, sigma)[0]
            return [max(1.0, weight) for weight in weights]

        shares = split_budget(len(cliques), weigh)
        total = sum(gain for pair, gain in self.gains.items() if pair not in hosts)
        for pair, host in hosts.items():
            sigma = self.sigma_of(shares[place[host]])
            noisy, others = self.price(pair, host, sigma)
            total += MEAN_SIZE * sigma * noisy + others
        levels = (0,) * len(cliques)
        return total, Shortlist(cliques=cliques, shares=tuple(shares), levels=levels)


@final
@dataclass(kw_only=True, eq=False)
class _Greedy:
    """Adds cliques one by one; the budget is thought to be split in closed form all the time.

    With weights c_h = sum of the pairs' noisy cells, shares in proportion to c_h^(2/3) make the
    noise of all cost sqrt(2/pi) sigma_of(1) (sum c_h^(2/3))^(3/2).

    Args:
        hosting: the problem.
        sigma: at which cells are counted as noisy or not.
    """

    hosting: Hosting
    sigma: float
    _chosen: dict[Clique, Clique] = field(default_factory=dict)
    _weights: dict[Clique, float] = field(default_factory=dict)
    _prices: dict[tuple[Clique, Clique], tuple[float, float]] = field(default_factory=dict)
    _power: float = 0.0

    def hosts(self) -> dict[Clique, Clique]:
        """Return pair -> clique: pairs first, then triples, which take over what is theirs.

        The other way round a triple would be taken for the errors of all its pairs, and no single
        pair would gain enough by leaving it.
        """
        for size in (2, 3):
            self._add([clique for clique in self.hosting.cliques if len(clique) == size])
        return self._chosen

    def _add(self, cliques: Sequence[Clique]) -> None:
        """Take those that gain, the best first.

        What a clique would gain is worked out again only when it comes to the top: lists get
        dearer as they grow, so gains mostly shrink.
        """
        waiting = [(-self._gain(clique), i) for i, clique in enumerate(cliques)]
        heapify(waiting)
        while waiting:
            _, i = heappop(waiting)
            gain = self._gain(cliques[i])
            if gain <= 0:
                continue
            if waiting and -gain > waiting[0][0]:
                heappush(waiting, (-gain, i))
            else:
                self._take(cliques[i])

    def _gain(self, clique: Clique) -> float:
        return self._change(clique)[0]

    def _take(self, clique: Clique) -> None:
        _, weights = self._change(clique)
        self._weights.update(weights)
        self._power = sum(w ** (2 / 3) for w in self._weights.values())
        self._chosen.update(dict.fromkeys(combinations(clique, 2), clique))

    def _change(self, clique: Clique) -> tuple[float, dict[Clique, float]]:
        """Return by how much the total falls when `clique` hosts all pairs in it, and weights."""
        weights: dict[Clique, float] = {clique: 0.0}
        saved = 0.0
        for pair in combinations(clique, 2):
            noisy, others = self._price(pair, clique)
            weights[clique] += noisy
            before = self._chosen.get(pair)
            if before is None:
                saved += self.hosting.gains[pair] - others
                continue
            freed, low = self._price(pair, before)
            left = weights.get(before, self._weights[before]) - freed
            weights[before] = max(0.0, left)  # rounding may carry it below
            saved += low - others
        power = self._power
        for host, weight in weights.items():
            power += weight ** (2 / 3) - self._weights.get(host, 0.0) ** (2 / 3)
        noise = MEAN_SIZE * self.hosting.sigma_of(1.0)
        dearer = noise * (max(0.0, power) ** 1.5 - self._power**1.5)
        return saved - dearer, weights

    def _price(self, pair: Clique, host: Clique) -> tuple[float, float]:
        key = pair, host
        if key not in self._prices:
            self._prices[key] = self.hosting.price(pair, host, self.sigma)
        return self._prices[key]
