"""The fitted graphical model: expected counts of any marginal, rows, and arrays to save."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import ContradictionError, InvalidValueError
from dpsynth.pgm.blocks import sample_blocks
from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.evidence import Evidence, combine, evidence_weights
from dpsynth.pgm.inference import Calibration, Oracle, split
from dpsynth.pgm.junction_tree import CELL_CEILING, JunctionTree
from dpsynth.pgm.pairs import pair_marginals
from dpsynth.pgm.queries import marginal_of


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class GraphicalModel:
    """A distribution proportional to exp(sum of the potentials), scaled to `total` records.

    Args:
        domain: all attributes; those in no clique are uniform and independent.
        total: expected number of records, above 0.
        cliques: maximal cliques in the domain's attribute order, none inside another.
        potentials: one array a clique: log-weights of its cells, up to a constant; minus infinity
            for a structural zero, a cell that no record can be in.
        ceiling: largest number of cells of the junction tree and of any marginal asked for.

    Raises:
        InvalidValueError: total not above 0, a potential of the wrong shape, nan or infinite, or a
            junction tree above the ceiling.
        ContradictionError: structural zeros leave no cell.
    """

    domain: Domain
    total: float
    cliques: tuple[Clique, ...]
    potentials: tuple[NDArray[np.float64], ...]
    ceiling: int = CELL_CEILING

    def __post_init__(self) -> None:
        if not (isfinite(self.total) and self.total > 0):
            raise InvalidValueError("total", self.total, "a finite number above 0")
        if set(self.cliques) != set(maximal_cliques(self.domain, self.cliques)):
            raise InvalidValueError("cliques", self.cliques, "maximal and in the domain's order")
        for clique, potential in zip(self.cliques, self.potentials, strict=True):
            if potential.shape != self.domain.project(clique).shape:
                raise InvalidValueError(
                    f"potential of {clique}", potential.shape, "of the clique's shape"
                )
            if not (potential < np.inf).all():
                raise InvalidValueError(
                    f"potential of {clique}", "nan or inf", "finite, or -inf for a structural zero"
                )
        self.tree  # noqa: B018 - too large a tree is refused now, not when first used
        if any(np.isneginf(potential).any() for potential in self.potentials):
            self._oracle.support(self._oracle.spread(self.potentials))  # refuses a contradiction

    @classmethod
    def uniform(cls, domain: Domain, total: float) -> "GraphicalModel":
        """Return the model in which every record of `domain` is equally likely."""
        return cls(domain=domain, total=total, cliques=(), potentials=())

    @cached_property
    def tree(self) -> JunctionTree:
        """The junction tree that answers are computed on."""
        return JunctionTree.build(self.domain, self.cliques, ceiling=self.ceiling)

    @cached_property
    def _oracle(self) -> Oracle:
        return Oracle(tree=self.tree, cliques=self.cliques)

    @cached_property
    def calibration(self) -> Calibration:
        """Probabilities of the cells of every clique of the tree."""
        return self._oracle.calibrate(self.potentials)

    def given(self, evidence: Evidence) -> "GraphicalModel":
        """Return the model of the records in which some attributes have the codes of `evidence`.

        Its marginals, pairs and samples are exactly conditional, and its total is the expected
        number of such records. The junction tree stays as it is.

        Args:
            evidence: attribute -> its code, the codes that it may have, or a `Likelihood`: then a
                record is kept with the probability that its code has. Empty: any record.

        Raises:
            ContradictionError: no record can have these codes.
            InvalidValueError: a code that an attribute does not have.
            UnknownNameError: an attribute that the domain lacks.
        """
        named, weights = evidence_weights(self.domain, evidence)
        own = self.cliques, self.potentials
        cliques, potentials = combine(self.domain, own, (named, weights))
        # Every attribute is in the tree, so that it covers the cliques of the evidence too.
        calibrated = Oracle(tree=self.tree, cliques=cliques).calibrate(potentials)
        if calibrated.log_partition == -np.inf:
            raise ContradictionError(
                f"evidence on {', '.join(map(repr, evidence))}",
                "no record that the model allows has these codes",
            )
        gap = calibrated.log_partition - self.calibration.log_partition
        share = float(np.exp(min(0.0, gap)))
        # Records whose share underflows are possible all the same.
        total = max(self.total * share, float(np.finfo(np.float64).tiny))
        found = replace(self, total=total, cliques=cliques, potentials=tuple(potentials))
        if found.tree == self.tree:
            vars(found)["calibration"] = calibrated  # what the property would compute once more
        return found

    def marginal(self, attributes: Iterable[str]) -> NDArray[np.float64]:
        """Return expected counts of `attributes`, axes in the order given, summing to `total`.

        Args:
            attributes: any attributes, each once; inside a clique this is a sum, elsewhere
                variables are eliminated along the part of the tree between them.

        Raises:
            InvalidValueError: an attribute twice, or an answer above the ceiling of cells.
            UnknownNameError: an attribute that the domain lacks.
        """
        wanted = tuple(attributes)
        if len(set(wanted)) < len(wanted):
            raise InvalidValueError("attributes", wanted, "each named once")
        self.domain.canonical(wanted)  # refuses unknown attributes
        if not wanted:
            return np.array(self.total)
        shares = marginal_of(self.tree, self.calibration.marginals, wanted, ceiling=self.ceiling)
        return self.total * shares

    def pairs(self, pairs: Iterable[Clique]) -> dict[Clique, NDArray[np.float64]]:
        """Return expected counts of many pairs at once: what `marginal` returns of each, faster.

        Args:
            pairs: two different attributes each.
        """
        found = pair_marginals(self.tree, self.calibration.marginals, pairs)
        return {pair: self.total * shares for pair, shares in found.items()}

    def sample(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        """Return `n` rows of codes (n x attributes), in the smallest unsigned dtype that fits.

        Raises:
            InvalidValueError: n below 1.
        """
        drawn = list(self.blocks(n, rng=rng))
        return drawn[0] if len(drawn) == 1 else np.concatenate(drawn)

    def blocks(self, n: int, *, rng: np.random.Generator) -> Iterator[NDArray[np.integer[Any]]]:
        """Yield what `sample` returns, in blocks of bounded size.

        Raises:
            InvalidValueError: n below 1.
        """
        if n < 1:
            raise InvalidValueError("n", n, "at least 1")
        return sample_blocks(self.tree, self.calibration.marginals, n, rng=rng)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return total, cliques and potentials as plain arrays, for `from_arrays`."""
        names = self.domain.attributes
        members = [[a in clique for a in names] for clique in self.cliques]
        flat = [potential.ravel() for potential in self.potentials]
        return {
            "total": np.array(self.total),
            "cliques": np.array(members, dtype=np.bool_).reshape(len(members), len(names)),
            "potentials": np.concatenate(flat) if flat else np.empty(0),
        }

    @classmethod
    def from_arrays(cls, domain: Domain, arrays: Mapping[str, NDArray[Any]]) -> "GraphicalModel":
        """Rebuild the model that `arrays` came from; its samples are identical.

        Raises:
            InvalidValueError: arrays that do not fit `domain` or one another.
        """
        members = arrays["cliques"]
        if members.ndim != 2 or members.shape[1] != len(domain.attributes):
            raise InvalidValueError("cliques", members.shape, "one column for each attribute")
        cliques = tuple(
            tuple(a for a, inside in zip(domain.attributes, row, strict=True) if inside)
            for row in members
        )
        potentials = split(domain, cliques, np.asarray(arrays["potentials"], dtype=np.float64))
        total = float(arrays["total"])
        return cls(domain=domain, total=total, cliques=cliques, potentials=tuple(potentials))
