# It runs in the peer's environment.
# pyright: reportMissingImports=false, reportPrivateImportUsage=false, reportArgumentType=false
"""Run one of smartnoise-synth's on a task: `python run_smartnoise.py TASK.json OUT.csv`.

Add/remove neighbours; AIM's workload is all triples, everything else is its default. The
transformer is fitted to the public codes, so that no domain is read from the records.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from snsynth.aim import AIMSynthesizer
from snsynth.mst import MSTSynthesizer
from snsynth.transform import LabelTransformer, TableTransformer


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    np.random.seed(task["seed"])  # noqa: NPY002
    frame = pd.read_csv(task["records"], dtype=int)
    sizes = list(task["sizes"].values())
    codes = TableTransformer([LabelTransformer(nullable=False) for _ in sizes])
    codes.fit([tuple(min(i, size - 1) for size in sizes) for i in range(max(sizes))])
    if task["mechanism"] == "aim":
        model = AIMSynthesizer(epsilon=task["epsilon"], delta=task["delta"], degree=3)
    else:
        model = MSTSynthesizer(epsilon=task["epsilon"], delta=task["delta"])
    model.fit(frame, transformer=codes)
    made = pd.DataFrame(model.sample(task["rows"]))
    made.columns = list(frame)
    made.astype(int).to_csv(sys.argv[2], index=False)


if __name__ == "__main__":
    main()
