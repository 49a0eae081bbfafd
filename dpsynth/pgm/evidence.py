"""Structural zeros and evidence, as log-weights: minus infinity for what is known not to occur."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import ContradictionError, InvalidValueError, UnknownNameError
from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.inference import Arrays, fold

Impossible: TypeAlias = Mapping[Clique, NDArray[np.bool_]]
"""Clique -> True for each of its cells that no record can be in, axes in the clique's order."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Likelihood:
    """Soft evidence on one attribute.

    Args:
        values: for each code the probability that a record with it is kept, from 0 to 1.

    Raises:
        InvalidValueError: no vector, or numbers that are no probabilities.

    Reference: Pearl 1988, section 2.3.3 (virtual evidence).
    """

    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
            raise InvalidValueError("likelihood", self.values, "one number from 0 to 1 for a code")
        object.__setattr__(self, "values", values)

    def __mul__(self, other: "Likelihood") -> "Likelihood":
        return Likelihood(values=self.values * other.values)


Evidence: TypeAlias = Mapping[str, int | np.integer[Any] | Iterable[int] | Likelihood]
"""Attribute -> the code that it has, the codes that it may have, or how likely it is with each."""


def zero_weights(domain: Domain, impossible: Impossible) -> tuple[tuple[Clique, ...], Arrays]:
    """Return cliques in the domain's order, and log-weights: 0, or minus infinity for a zero.

    Args:
        domain: all attributes.
        impossible: public knowledge; it must not come from the records.

    Raises:
        InvalidValueError: a clique that is empty or names an attribute twice, or an array that is
            not boolean or not of the clique's shape.
        UnknownNameError: an attribute that the domain lacks.
    """
    cliques: list[Clique] = []
    weights: Arrays = []
    for clique, zeros in impossible.items():
        if not clique or len(set(clique)) < len(clique):
            raise InvalidValueError("clique", clique, "attributes, each named once")
        shape = domain.project(clique).shape
        array = np.asarray(zeros)
        if array.dtype != np.bool_ or array.shape != shape:
            found = array.dtype.name, array.shape
            raise InvalidValueError(f"impossible cells of {clique}", found, f"bool, {shape}")
        key = domain.canonical(clique)
        cliques.append(key)
        weights.append(np.where(array, -np.inf, 0.0).transpose([clique.index(a) for a in key]))
    return tuple(cliques), weights


def evidence_weights(domain: Domain, evidence: Evidence) -> tuple[tuple[Clique, ...], Arrays]:
    """Return a clique of one attribute for each that `evidence` names, and its log-weights.

    Raises:
        InvalidValueError, ContradictionError, UnknownNameError: as of `likelihoods`.
    """
    weights: Arrays = []
    for values in likelihoods(domain, evidence).values():
        log_weights = np.full(values.size, -np.inf)
        weights.append(np.log(values, out=log_weights, where=values > 0))
    return tuple((attribute,) for attribute in evidence), weights


def likelihoods(domain: Domain, evidence: Evidence) -> dict[str, NDArray[np.float64]]:
    """Return how likely a record is to be kept with each code of the attributes in `evidence`.

    Raises:
        InvalidValueError: a code that is no whole number, or that the attribute does not have; a
            likelihood of another length than the attribute has codes.
        ContradictionError: an attribute that may have no code.
        UnknownNameError: an attribute that the domain lacks.
    """
    found: dict[str, NDArray[np.float64]] = {}
    for attribute, known in evidence.items():
        if attribute not in domain.sizes:
            raise UnknownNameError("attribute", attribute, domain.sizes)
        size = domain.sizes[attribute]
        values = known.values if isinstance(known, Likelihood) else _allowed(attribute, known, size)
        if values.shape != (size,):
            raise InvalidValueError(
                f"evidence on {attribute!r}", values.shape, f"of shape ({size},)"
            )
        if not values.any():
            raise ContradictionError(f"evidence on {attribute!r}", "it allows no code")
        found[attribute] = values
    return found


def _allowed(
    attribute: str, codes: int | np.integer[Any] | Iterable[int], size: int
) -> NDArray[np.float64]:
    """Return 1 for each of `codes`, 0 for the others."""
    found = np.zeros(size)
    for code in [codes] if isinstance(codes, int | np.integer) else codes:
        whole = isinstance(code, int | np.integer) and not isinstance(code, bool)
        if not (whole and 0 <= code < size):
            raise InvalidValueError(
                f"evidence on {attribute!r}", code, f"whole, at least 0 and below {size}"
            )
        found[code] = 1.0
    return found


def combine(
    domain: Domain,
    *parts: tuple[Sequence[Clique], Sequence[NDArray[np.float64]]],
    cliques: Iterable[Iterable[str]] = (),
) -> tuple[tuple[Clique, ...], Arrays]:
    """Return the maximal cliques that hold all `parts` and `cliques`, and the potentials' sums.

    Args:
        domain: all attributes.
        parts: cliques in the domain's order with one array of potentials each.
        cliques: further cliques, without potentials.
    """
    named = [clique for own, _ in parts for clique in own]
    hosts = maximal_cliques(domain, [*cliques, *named])
    return hosts, fold(domain, hosts, named, [p for _, arrays in parts for p in arrays])
