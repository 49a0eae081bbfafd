"""What a public table is worth: 3-way total variation with a good one, with bad ones, without.

    python scripts/bench_public_tables.py nist --epsilon 0.1 --epsilon 0.3 --seeds 3

`nist` has nist_ma2018 as the public table of nist_ma2019; any data set's name has one half of it as
the public table of the other.
"""

import argparse
from itertools import combinations

import numpy as np

import dpsynth
from dpsynth.data.encoding import Codec
from dpsynth.data.table import Table

TRIPLES = 300


def pair_of(name: str) -> tuple[Table, Table]:
    """Return the public table and the private one."""
    if name == "nist":
        return dpsynth.DATASETS.get("nist_ma2018")().table, dpsynth.DATASETS.get(
            "nist_ma2019"
        )().table
    table = dpsynth.DATASETS.get(name)().table
    order, half = np.random.default_rng(99).permutation(len(table)), len(table) // 2
    return table.take(order[:half]), table.take(order[half:])


def shuffled(table: Table, rng: np.random.Generator) -> Table:
    """Return records that know the columns and deny every dependence."""
    frame = table.frame
    for column in frame:
        frame[column] = frame[column].array.take(rng.permutation(len(frame)))
    return Table.from_frame(table.schema, frame)


def reversed_codes(table: Table, rng: np.random.Generator) -> Table:
    """Return records whose codes are counted from the other end."""
    codec = Codec(schema=table.schema)
    sizes = np.array(table.schema.domain.shape)
    return codec.decode(sizes - 1 - codec.encode(table).astype(np.int64), rng=rng)


def distance(real: Table, synthetic: Table) -> float:
    """Return the mean total variation of the same triples of columns in all comparisons."""
    codec = Codec(schema=real.schema)
    codes = [codec.encode(t).astype(np.int64) for t in (real, synthetic)]
    sizes = real.schema.domain.shape
    triples = list(combinations(range(len(sizes)), 3))
    chosen = np.random.default_rng(1).choice(
        len(triples), min(TRIPLES, len(triples)), replace=False
    )
    found = []
    for columns in (triples[i] for i in chosen):
        shape = [sizes[c] for c in columns]
        cells = int(np.prod(shape))
        shares = [
            np.bincount(np.ravel_multi_index(list(of[:, columns].T), shape), minlength=cells)
            / len(of)
            for of in codes
        ]
        found.append(0.5 * np.abs(shares[0] - shares[1]).sum())
    return float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--epsilon", type=float, action="append", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    public, private = pair_of(args.data)
    print(f"{args.data}: the public table itself {distance(private, public):.4f}", flush=True)
    for seed in range(args.seeds):
        rng = np.random.default_rng(seed)
        tables = {
            "none": None,
            "public": public,
            "shuffled": shuffled(public, rng),
            "reversed": reversed_codes(public, rng),
        }
        for epsilon in args.epsilon:
            for name, table in tables.items():
                generator = "two_stage" if table is None else "public_prior"
                model = dpsynth.synthesize(
                    private, generator=generator, epsilon=epsilon, seed=seed, public=table
                )
                found = distance(private, model.sample(len(private)))
                print(f"{args.data} {epsilon:g} seed {seed} {name}: {found:.4f}", flush=True)


if __name__ == "__main__":
    main()
