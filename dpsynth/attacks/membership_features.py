"""What a release tells about one record's membership: tracing scores of several feature families.

Each family summarises a release by numbers; adding a record moves those numbers in a direction that
the record sets, so the score is how far the release lies in that direction from what shadow
releases average.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.records import distances
from dpsynth.data.columns import Column

Codes = NDArray[np.integer[Any]]

QUERY_WAYS = (1, 2, 3, 4)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Summary:
    """What is kept of one release.

    Args:
        moments: mean of each column's codes, scaled to [0, 1]; "naive" features.
        histogram: frequencies of every column's codes, one column after the other.
        correlations: correlation of the codes of each pair of columns, 0 where one is constant.
        queries: targets x queries; the share of records that agree with the target on the
            columns of the query.
        nearest: distance of each target to the nearest record.
    """

    moments: NDArray[np.float64]
    histogram: NDArray[np.float64]
    correlations: NDArray[np.float64]
    queries: NDArray[np.float64]
    nearest: NDArray[np.float64]


def draw_queries(columns: int, count: int, *, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Return `count` random sets of columns, of `QUERY_WAYS` sizes in turn."""
    sizes = [min(QUERY_WAYS[i % len(QUERY_WAYS)], columns) for i in range(count)]
    return [tuple(sorted(rng.permutation(columns)[:size].tolist())) for size in sizes]


def summarise(
    codes: Codes,
    records: NDArray[np.float64],
    *,
    columns: Sequence[Column],
    targets: Codes,
    target_records: NDArray[np.float64],
    queries: Sequence[tuple[int, ...]],
) -> Summary:
    """Return the summary of a release.

    Args:
        codes: the release's codes.
        records: the release's plain records.
        columns: the schema's columns.
        targets: codes of the targets.
        target_records: plain records of the targets.
        queries: sets of columns.
    """
    scaled = codes / np.maximum([c.size - 1 for c in columns], 1)
    agree = codes[None, :, :] == targets[:, None, :]
    near = distances(columns, target_records, records)
    return Summary(
        moments=scaled.mean(axis=0),
        histogram=np.concatenate(
            [
                np.bincount(codes[:, i], minlength=column.size) / len(codes)
                for i, column in enumerate(columns)
            ]
        ),
        correlations=_correlations(scaled),
        queries=np.column_stack([agree[:, :, q].all(axis=2).mean(axis=1) for q in queries]),
        nearest=np.concatenate([block.min(axis=1) for block in near]).astype(np.float64),
    )


def tracing_scores(
    summaries: Sequence[Summary],
    shadows: int,
    *,
    columns: Sequence[Column],
    targets: Codes,
    queries: Sequence[tuple[int, ...]],
) -> NDArray[np.float64]:
    """Return, for each release, target and family, how much the release leans to the target.

    Args:
        summaries: of all releases, those of the shadows first.
        shadows: how many of them calibrate the scores.
        columns: the schema's columns.
        targets: codes of the targets.
        queries: the sets of columns of the summaries.

    Returns:
        releases x targets x families, standardised over the shadows.

    Reference: C. Dwork, A. Smith, T. Steinke, J. Ullman and S. Vadhan, Robust Traceability from
    Trace Amounts (2015), section 1, for the inner product; families as in T. Stadler, B. Oprisanu
    and C. Troncoso, Synthetic Data: Anonymisation Groundhog Day (2022), section 5, and F. Houssiau
    et al., TAPAS: a Toolbox for Adversarial Privacy Auditing of Synthetic Data (2022), section 4.
    """
    scaled = targets / np.maximum([c.size - 1 for c in columns], 1)
    one_hot = np.concatenate(
        [targets[:, i, None] == np.arange(c.size) for i, c in enumerate(columns)], axis=1
    )
    moments = np.array([s.moments for s in summaries])
    histograms = np.array([s.histogram for s in summaries])
    correlations = np.array([s.correlations for s in summaries])
    centred = scaled - moments[:shadows].mean(axis=0)
    first, second = np.triu_indices(len(columns), 1)
    families = [
        _lean(moments, centred, shadows),
        _lean(histograms, one_hot - histograms[:shadows].mean(axis=0), shadows),
        _lean(correlations, centred[:, first] * centred[:, second], shadows),
        -np.array([s.nearest for s in summaries]),
    ]
    answers = np.array([s.queries for s in summaries])
    sizes = np.array([len(q) for q in queries])
    for ways in np.unique(sizes):
        families.append(_calibrated(answers[:, :, sizes == ways], shadows).mean(axis=2))
    return _calibrated(np.stack(families, axis=2), shadows)


def _lean(
    features: NDArray[np.float64], direction: NDArray[np.float64], shadows: int
) -> NDArray[np.float64]:
    """Return the inner products of deviations and directions, weighted by inverse variance."""
    seen = features[:shadows]
    variance = seen.var(axis=0)
    # Half of each variance is borrowed from the others: few shadows tell it badly.
    weight = 1 / (variance + variance.mean() + 1e-12) if variance.size else variance
    return ((features - seen.mean(axis=0)) * weight) @ direction.T


def _calibrated(values: NDArray[np.float64], shadows: int) -> NDArray[np.float64]:
    """Return values less each target's mean over shadows, over a deviation shared by targets."""
    centred = values - values[:shadows].mean(axis=0)
    deviation = np.sqrt((centred[:shadows] ** 2).mean(axis=(0, 1)))
    return centred / np.where(deviation > 0, deviation, 1.0)


def _correlations(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = scaled - scaled.mean(axis=0)
    deviation = np.sqrt((centred**2).mean(axis=0))
    standard = centred / np.where(deviation > 0, deviation, 1.0)
    matrix = standard.T @ standard / len(scaled)
    return matrix[np.triu_indices(scaled.shape[1], 1)]
