"""dpmm on codes; parameters are those of its models."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from dpmm.models.aim import AIMGM
from dpmm.models.mst import MSTGM
from dpmm.models.priv_bayes import PrivBayesGM

MODELS = {"mst": MSTGM, "aim": AIMGM, "privbayes": PrivBayesGM}
folder = Path(sys.argv[1])
request = json.loads((folder / "request.json").read_text())
train = pd.read_parquet(folder / "train_codes.parquet")
budget = {"epsilon": request["epsilon"], "delta": request["delta"]}
settings = ({"degree": 3} if request["mechanism"] == "aim" else {}) | request["parameters"]
model = MODELS[request["mechanism"]](**budget, **settings)
model.set_random_state(np.random.RandomState(request["seed"]))
model.set_domain({column["name"]: column["size"] for column in request["columns"]})
model.fit(train)
made = model.generate(n_records=request["rows"])[list(train)]
made.to_parquet(folder / "synthetic_codes.parquet")
versions = {name: version(name) for name in ("dpmm", "opendp", "numpy", "pandas")}
(folder / "response.json").write_text(json.dumps({"versions": versions, **budget}))
