"""mbi's estimator. Its package has no mechanism: as in McKenna et al. 2021 this one measures all
one-ways, a tree of pairs that exponential mechanisms find, and these pairs, a third of rho each."""

import json
import sys
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from mbi import Dataset, Domain, LinearMeasurement, estimation

folder = Path(sys.argv[1])
request = json.loads((folder / "request.json").read_text())
train = pd.read_parquet(folder / "train_codes.parquet")
data = Dataset(train.to_dict("list"), Domain(list(train), [c["size"] for c in request["columns"]]))
rng, part, n = np.random.default_rng(request["seed"]), request["rho"] / 3, len(train.columns)


def noisy(c, times):  # L2 sensitivity 1: one of `times` that cost a part of rho together
    scale, counts = (times / 2 / part) ** 0.5, data.project(c).datavector()
    return LinearMeasurement(counts + rng.normal(0, scale, counts.size), c, stddev=scale)


def missed(c):  # sensitivity 1, since the model is a noisy one
    return np.abs(data.project(c).datavector() - model.project(c).datavector()).sum()


found = [noisy((name,), n) for name in train]
model = estimation.MirrorDescent().estimate(data.domain, found, **request["parameters"])
scores, group = {c: missed(c) for c in combinations(train, 2)}, {name: name for name in train}
while len(found) < 2 * n - 1:  # a choice of epsilon costs epsilon^2 / 8
    able = [c for c in scores if group[c[0]] != group[c[1]]]
    a, b = max(able, key=lambda c: (2 * part / (n - 1)) ** 0.5 * scores[c] + rng.gumbel())
    found.append(noisy((a, b), n - 1))
    group = {k: group[a] if g == group[b] else g for k, g in group.items()}
model = estimation.MirrorDescent().estimate(data.domain, found, **request["parameters"])
made = pd.DataFrame(model.synthetic_data(request["rows"]).to_dict())
made.to_parquet(folder / "synthetic_codes.parquet")
(folder / "response.json").write_text(json.dumps({"versions": {"mbi": version("mbi")}}))
