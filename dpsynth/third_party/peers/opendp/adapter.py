"""OpenDP's AIM (of all triples) and MST on codes. Records with a null, a key of its own, are left
out. At some rho its steps exceed their budget by a rounding: then a slightly smaller one is tried.
"""

import json
import sys
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import opendp.prelude as dp
import polars as pl

dp.enable_features("contrib")
folder = Path(sys.argv[1])
request = json.loads((folder / "request.json").read_text())
keys = {column["name"]: list(range(column["size"])) for column in request["columns"]}
triples = {"queries": [dp.mbi.Count(by=triple) for triple in combinations(keys, 3)]}
kind, settings = (dp.mbi.AIM, triples) if request["mechanism"] == "aim" else (dp.mbi.MST, {})
chosen = kind(**settings, **request["parameters"])
for rho in (request["rho"] * (1 - nudge * 1e-12) for nudge in range(20)):
    loss, data = dp.loss_of(rho=rho * (1 + 1e-9), delta=0.0), folder / "train_codes.parquet"
    made = dp.Context.compositor(pl.scan_parquet(data), dp.unit_of(contributions=1), loss)
    query = made.query(rho=rho, delta=0.0).select(*keys)
    try:
        table = query.contingency_table(keys=keys, algorithm=chosen).release()
        break
    except dp.OpenDPException as error:
        if "insufficient budget" not in str(error):
            raise
table.synthesize(rows=request["rows"]).drop_nulls().write_parquet(
    folder / "synthetic_codes.parquet"
)
answer = {"versions": {name: version(name) for name in ("opendp", "mbi", "jax", "polars")}}
(folder / "response.json").write_text(json.dumps(answer))
