"""A model fitted again, to records and noise that are drawn anew: what it might have been."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from dpsynth.pgm.estimation import estimate
from dpsynth.pgm.independent_rows import cell_of, independent_rows
from dpsynth.pgm.measurement import NoisyMarginal, beyond_margins
from dpsynth.pgm.model import GraphicalModel

STEPS = 150
"""Steps of each fit. All are made alike, so that what a fit leaves over is common to them."""


def refits(
    model: GraphicalModel,
    measurements: Sequence[NoisyMarginal],
    *,
    public_total: bool,
    draws: int,
    rng: np.random.Generator,
) -> Iterator[GraphicalModel]:
    """Yield a fit to `measurements`, and then fits to what `draws` tables would have been measured.

    These tables are drawn from the first fit, row by row, and measured with Gaussian noise of the
    same public size. All fits begin at the same place, which is not `model`: a fit that begins at
    the law that its records were drawn from stays too near.

    Args:
        model: where structural zeros and groups of codes are taken from.
        measurements: of the records, at least one.
        public_total: the model's total is not a noisy figure.
        draws: number of tables.
        rng: source of rows and noise.

    Reference: Ferrando, Wang & Sheldon 2022, algorithm 1.
    """
    zeros = {
        clique: np.isneginf(potential)
        for clique, potential in zip(model.cliques, model.potentials, strict=True)
        if np.isneginf(potential).any()
    }
    total = model.total if public_total else None

    def fit(measured: Sequence[NoisyMarginal]) -> GraphicalModel:
        return estimate(
            model.domain,
            measured,
            total=total,
            steps=STEPS,
            impossible=zeros,
            ceiling=model.ceiling,
        )

    first = fit(measurements)
    yield first
    rows = max(1, round(first.total))
    for _ in range(draws):
        drawn = independent_rows(first.tree, first.calibration.marginals, rows, rng=rng)
        yield fit([_measured_again(first, m, drawn, rng=rng) for m in measurements])


def _measured_again(
    model: GraphicalModel,
    measurement: NoisyMarginal,
    rows: np.ndarray,
    *,
    rng: np.random.Generator,
) -> NoisyMarginal:
    """Return what a measurement of other rows would have been."""
    key = model.domain.canonical(measurement.clique)
    cell, cells = cell_of(model.domain, rows, key), measurement.cells(model.domain)
    order = [measurement.clique.index(a) for a in key]
    shape = [measurement.values.shape[i] for i in order]
    counts = np.bincount(cell if cells is None else cells[cell], minlength=int(np.prod(shape)))
    values = counts.reshape(shape).transpose(np.argsort(order)).astype(np.float64)
    if measurement.centred:
        values = beyond_margins(values)
    noise = rng.normal(scale=measurement.sigma, size=values.shape)
    return replace(measurement, values=values + noise)
