"""Structural zeros and evidence: what is known not to occur, as log-weights of minus infinity."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import ContradictionError, InvalidValueError, UnknownNameError
from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.inference import Arrays, fold

Impossible: TypeAlias = Mapping[Clique, NDArray[np.bool_]]
"""Clique -> True for each of its cells that no record can be in, axes in the clique's order."""

Evidence: TypeAlias = Mapping[str, int | np.integer[Any] | Iterable[int]]
"""Attribute -> the code that it has, or the codes that it may have."""


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
        InvalidValueError: a code that is no whole number, or that the attribute does not have.
        ContradictionError: an attribute that may have no code.
        UnknownNameError: an attribute that the domain lacks.
    """
    weights: Arrays = []
    for attribute, codes in evidence.items():
        if attribute not in domain.sizes:
            raise UnknownNameError("attribute", attribute, domain.sizes)
        size = domain.sizes[attribute]
        allowed = [codes] if isinstance(codes, int | np.integer) else list(codes)
        if not allowed:
            raise ContradictionError(f"evidence on {attribute!r}", "it allows no code")
        log_weights = np.full(size, -np.inf)
        for code in allowed:
            whole = isinstance(code, int | np.integer) and not isinstance(code, bool)
            if not (whole and 0 <= code < size):
                raise InvalidValueError(
                    f"evidence on {attribute!r}", code, f"whole, at least 0 and below {size}"
                )
            log_weights[code] = 0.0
        weights.append(log_weights)
    return tuple((attribute,) for attribute in evidence), weights


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
