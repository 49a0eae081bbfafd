"""Noisy errors of many candidates, drawn towards one another where the noise is most of them."""

from collections.abc import Mapping

import numpy as np

from dpsynth.data.domain import Clique


def shrunk(errors: Mapping[Clique, float], *, sigma: float) -> dict[Clique, float]:
    """Return estimates of errors, at least 0, of which the largest are no longer the luckiest.

    The candidates that are chosen are those whose noise happened to be high. So each error is moved
    towards the mean of those with as many attributes, by the share of their variance that is noise:
    where it is all noise, they come out equal and nothing is preferred.

    Args:
        errors: one a candidate, in records.
        sigma: standard deviation of their noise, in records; public.

    Reference: Efron & Morris 1973, section 2 (the empirical Bayes form of James & Stein's estimate
        with an unknown mean).
    """
    found: dict[Clique, float] = {}
    for size in sorted({len(clique) for clique in errors}):
        group = [clique for clique in errors if len(clique) == size]
        values = np.array([errors[clique] for clique in group])
        signal = max(0.0, float(values.var()) - sigma**2)
        kept = signal / (signal + sigma**2)
        moved = np.maximum(values.mean() + kept * (values - values.mean()), 0.0)
        found.update(zip(group, moved.tolist(), strict=True))
    return {clique: found[clique] for clique in errors}
