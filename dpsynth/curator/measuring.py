"""Additive queries of cliques, charged together, answered as noisy marginals or errors."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.answering import Answering
from dpsynth.curator.interactions import InteractionQuery
from dpsynth.curator.pricing import Pricing, share
from dpsynth.curator.queries import (
    PARTS,
    AdditiveQuery,
    FitErrorsQuery,
    MarginalQuery,
    check_clique,
)
from dpsynth.data.domain import Clique
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.privacy.events import Event, GdpEvent


def measured_marginals(
    answering: Answering,
    cliques: Sequence[Sequence[str]],
    *,
    sigmas: Sequence[float],
    label: str | None = None,
) -> list[NoisyMarginal]:
    """Charge and answer `MarginalQuery`s together.

    Args:
        answering: of the records.
        cliques: at least one.
        sigmas: standard deviation of the noise in each cell, in records.
        label: the ledger's; made from the cliques when None.

    Raises:
        BudgetExceededError: the budget does not cover it; nothing has changed.
        InvalidValueError, UnknownNameError: cliques that the domain cannot answer, or another
            number of sigmas.
    """
    _check_sigmas(cliques, sigmas)
    asked: list[tuple[str, AdditiveQuery, float]] = [
        (f"marginal {','.join(clique)}", MarginalQuery(clique=tuple(clique)), sigma)
        for clique, sigma in zip(cliques, sigmas, strict=True)
    ]
    if label is not None and len(asked) == 1:
        asked = [(label, *asked[0][1:])]
    answers = answering.measure(asked, label)
    return [
        NoisyMarginal(clique=tuple(clique), values=values, sigma=sigma)
        for clique, values, sigma in zip(cliques, answers, sigmas, strict=True)
    ]


def measured_interactions(
    answering: Answering, cliques: Sequence[Sequence[str]], *, sigmas: Sequence[float]
) -> list[NoisyMarginal]:
    """Charge and answer `InteractionQuery`s together, in records; arguments as above. The ledger
    calls several of them by their number.

    Raises:
        BudgetExceededError: the budget does not cover it; nothing has changed.
        InvalidValueError, UnknownNameError: cliques that the domain cannot answer, or another
            number of sigmas.
    """
    _check_sigmas(cliques, sigmas)
    sizes = answering.pricing.domain.sizes
    asked: list[tuple[str, AdditiveQuery, float]] = []
    for clique, sigma in zip(cliques, sigmas, strict=True):
        check_clique(tuple(clique), answering.pricing.domain)
        query = InteractionQuery(clique=tuple(clique), shape=tuple(sizes[a] for a in clique))
        cells = query.cells(answering.pricing.domain)
        asked.append((f"interactions {','.join(clique)}", query, sigma * cells))
    answers = answering.measure(asked, f"{len(asked)} interactions" if len(asked) > 1 else None)
    return [
        NoisyMarginal(clique=tuple(c), values=v / v.size, sigma=sigma, centred=True)
        for c, sigma, v in zip(cliques, sigmas, answers, strict=True)
    ]


def measured_errors(
    answering: Answering,
    candidates: Sequence[Clique],
    predict: Callable[[Clique], NDArray[np.float64]],
    *,
    amount: float | GdpEvent,
    label: str,
) -> tuple[NDArray[np.float64], float]:
    """Charge and answer a `FitErrorsQuery`.

    Args:
        answering: of the records.
        candidates: cliques, at least one.
        predict: expected counts of a candidate, axes in its order; public. Called once each.
        amount: what all of them may cost together: in the accountant's currency, or, under fixed
            plans, as an event.
        label: the ledger's.

    Returns:
        One error a candidate, which noise may carry below 0, and their deviation; in records.

    Raises:
        BudgetExceededError: the budget does not cover it; nothing has changed.
        InvalidValueError, UnknownNameError: candidates or predictions do not fit.
    """
    query = _errors_query(candidates, predict)
    if isinstance(amount, GdpEvent):
        sigma = _sigma_of(answering.pricing, query, amount)
    else:
        sigma = answering.pricing.sigma(share(amount, "queries", 1), query)
    noisy = answering.measure([(label, query, sigma)])[0]
    return noisy / PARTS, sigma / PARTS


def errors_event(pricing: Pricing, candidates: Sequence[Clique], amount: GdpEvent) -> Event:
    """Return the event of `measured_errors`, which no prediction changes."""
    sizes = pricing.domain.sizes
    query = _errors_query(candidates, lambda c: np.zeros([sizes[a] for a in c]))
    return pricing.event(query, _sigma_of(pricing, query, amount))


def _errors_query(
    candidates: Sequence[Clique], predict: Callable[[Clique], NDArray[np.float64]]
) -> FitErrorsQuery:
    predictions = tuple(predict(c) for c in candidates)
    return FitErrorsQuery(candidates=tuple(candidates), predictions=predictions)


def _sigma_of(pricing: Pricing, query: FitErrorsQuery, amount: GdpEvent) -> float:
    return query.sensitivity(pricing.accountant.budget) / amount.mu


def _check_sigmas(cliques: Sequence[Sequence[str]], sigmas: Sequence[float]) -> None:
    if len(cliques) != len(sigmas) or not cliques:
        raise InvalidValueError("sigmas", len(sigmas), "one for each clique, at least one")
