"""smartnoise-synth on codes: its transformers see the public codes alone."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from snsynth import Synthesizer
from snsynth.transform import ChainTransformer, LabelTransformer, OneHotEncoder, TableTransformer

folder = Path(sys.argv[1])
request = json.loads((folder / "request.json").read_text())
np.random.seed(request["seed"])
torch.manual_seed(request["seed"])
train = pd.read_parquet(folder / "train_codes.parquet")
sizes, cube = [c["size"] for c in request["columns"]], request["mechanism"] in ("mst", "aim")
steps = [[LabelTransformer(nullable=False)] + [OneHotEncoder()] * (not cube) for _ in sizes]
codes = TableTransformer([s[0] if cube else ChainTransformer(s) for s in steps])
codes.fit([tuple(min(i, size - 1) for size in sizes) for i in range(max(sizes))])
budget = {"epsilon": request["epsilon"], "delta": request["delta"]}
settings = ({"degree": 3} if request["mechanism"] == "aim" else {}) | request["parameters"]
model = Synthesizer.create(request["mechanism"], **budget, **settings)
model.fit(train, transformer=codes, categorical_columns=list(train))
made = pd.DataFrame(model.sample(request["rows"])).set_axis(list(train), axis=1)
made.astype("int64").to_parquet(folder / "synthetic_codes.parquet")
versions = {name: version(name) for name in ("smartnoise-synth", "opendp", "mbi", "torch")}
(folder / "response.json").write_text(json.dumps({"versions": versions, **budget}))
