"""Additive queries of cliques, charged together, answered as noisy marginals."""

from collections.abc import Sequence

from dpsynth.curator.answering import Answering
from dpsynth.curator.interactions import InteractionQuery
from dpsynth.curator.queries import AdditiveQuery, MarginalQuery, check_clique
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.measurement import NoisyMarginal


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


def _check_sigmas(cliques: Sequence[Sequence[str]], sigmas: Sequence[float]) -> None:
    if len(cliques) != len(sigmas) or not cliques:
        raise InvalidValueError("sigmas", len(sigmas), "one for each clique, at least one")
