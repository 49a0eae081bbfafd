"""A table with known dependences, and how far a synthetic one is from it."""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.observation import Observation
from dpsynth.curator.private_data import PrivateData
from dpsynth.data.encoding import Codec
from dpsynth.data.table import Table
from dpsynth.generators.base import Generator, SyntheticModel
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import ResearchNoise
from tests.tables import coded_table

SIZES = (4, 4, 3, 3, 5, 2)
# c1 copies c0, c3 copies c2 (each nine times out of ten); c4 and c5 are noise.
PLANTED = (("c0", "c1"), ("c2", "c3"))


def planted_table(n: int = 4000, *, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, size, n) for size in SIZES], axis=1)
    for source, copy in ((0, 1), (2, 3)):
        codes[:, copy] = np.where(rng.random(n) < 0.9, codes[:, source], codes[:, copy])
    return coded_table(codes, SIZES)


def fit(
    generator: Generator, table: Table, *, epsilon: float = 50.0, seed: int = 0
) -> tuple[SyntheticModel, PrivateData, list[Observation]]:
    """Return the model, the door it went through, and everything that it asked there."""
    seen: list[Observation] = []
    private = PrivateData(
        table,
        Budget(epsilon=epsilon, delta=1e-9),
        noise=ResearchNoise(rng=np.random.default_rng(seed)),
        accountant=generator.accountant,
        observer=seen.append,
    )
    return generator.fit(private, rng=np.random.default_rng(seed + 1)), private, seen


def pair_error(real: Table, model: SyntheticModel, *, rows: int = 20_000) -> float:
    """Return the mean total variation of all pairs."""
    codec = Codec(schema=real.schema)
    drawn = model.sample_codes(rows, rng=np.random.default_rng(9))
    known = codec.encode(real)
    pairs = list(combinations(range(len(SIZES)), 2))
    return float(np.mean([_variation(known, drawn, i, j) for i, j in pairs]))


def _variation(
    one: NDArray[np.integer[Any]], other: NDArray[np.integer[Any]], i: int, j: int
) -> float:
    shares = [
        np.bincount(c[:, i].astype(int) * SIZES[j] + c[:, j], minlength=SIZES[i] * SIZES[j])
        / len(c)
        for c in (one, other)
    ]
    return 0.5 * float(np.abs(shares[0] - shares[1]).sum())
