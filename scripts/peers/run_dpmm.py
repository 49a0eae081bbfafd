# It runs in the peer's environment.
# pyright: reportMissingImports=false, reportPrivateImportUsage=false, reportArgumentType=false
"""Run one of dpmm's models on a task: `python run_dpmm.py TASK.json OUT.csv`.

Add/remove neighbours; AIM's workload is all triples, everything else is its default.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from dpmm.models.aim import AIMGM
from dpmm.models.mst import MSTGM
from dpmm.models.priv_bayes import PrivBayesGM

MODELS = {"mst": MSTGM, "aim": AIMGM, "privbayes": PrivBayesGM}


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    frame = pd.read_csv(task["records"], dtype=int)
    settings = {"degree": 3} if task["mechanism"] == "aim" else {}
    model = MODELS[task["mechanism"]](epsilon=task["epsilon"], delta=task["delta"], **settings)
    model.set_random_state(np.random.RandomState(task["seed"]))
    model.set_domain(task["sizes"])
    model.fit(frame)
    model.generate(n_records=task["rows"])[list(frame)].to_csv(sys.argv[2], index=False)


if __name__ == "__main__":
    main()
