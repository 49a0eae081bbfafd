# It runs in the peer's environment.
# pyright: reportMissingImports=false, reportPrivateImportUsage=false, reportArgumentType=false
"""Run one of dpmm's pipelines on raw records: `python raw_dpmm.py TASK.json OUT.csv`.

Bounds and categories are declared; its default, PrivTree, makes the bins, for a tenth of epsilon.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from dpmm.pipelines.mst import MSTPipeline
from dpmm.pipelines.priv_bayes import PrivBayesPipeline

PIPELINES = {"mst": MSTPipeline, "privbayes": PrivBayesPipeline}
SHARE = 0.1


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    texts = {of["name"]: str for of in task["columns"] if of["categories"]}
    frame = pd.read_csv(task["records"], dtype=texts)
    domain = {}
    for of in task["columns"]:
        if of["categories"]:
            domain[of["name"]] = {"categories": [str(c) for c in of["categories"]]}
        else:
            domain[of["name"]] = {"lower": of["lower"], "upper": of["upper"]}
    epsilon = task["epsilon"]
    pipeline = PIPELINES[task["mechanism"]](
        epsilon=(1 - SHARE) * epsilon, delta=task["delta"], proc_epsilon=SHARE * epsilon
    )
    pipeline.fit(frame, domain=domain, random_state=np.random.RandomState(task["seed"]))
    pipeline.generate(n_records=task["rows"]).to_csv(sys.argv[2], index=False)


if __name__ == "__main__":
    main()
