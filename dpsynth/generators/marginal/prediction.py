"""What a model says of many cliques at once: pairs exactly, larger ones in a sample of it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.counting import CellCounter
from dpsynth.data.domain import Clique
from dpsynth.pgm.measurement import MEAN_SIZE
from dpsynth.pgm.model import GraphicalModel

_PREDICTION_ROWS = 200_000


def predicted(
    model: GraphicalModel, cliques: list[Clique], *, rng: np.random.Generator
) -> tuple[Mapping[Clique, NDArray[np.float64]], Mapping[Clique, float]]:
    """Return expected counts, and the L1 error that they have for being counted in a sample.

    Pairs are exact. Triples are counted in a public sample of the model, which takes a fraction of
    the time of eliminating variables for each.

    Args:
        model: a fit.
        cliques: of two or three attributes, in the domain's order.
        rng: source of the sample.
    """
    exact = model.pairs([c for c in cliques if len(c) == 2])
    expected: dict[Clique, NDArray[np.float64]] = {c: exact[c] for c in cliques if c in exact}
    blur = dict.fromkeys(cliques, 0.0)
    if len(expected) == len(cliques):
        return expected, blur
    sample = CellCounter(model.sample(_PREDICTION_ROWS, rng=rng), model.domain)
    scale = model.total / sample.rows
    for clique in cliques:
        if clique in expected:
            continue
        counts = expected[clique] = np.asarray(sample.count_anew(clique) * scale, dtype=np.float64)
        blur[clique] = float(MEAN_SIZE * np.sqrt(counts * scale).sum())
    return expected, blur
