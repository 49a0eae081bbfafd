# It runs in the peer's environment.
# pyright: reportMissingImports=false, reportPrivateImportUsage=false, reportArgumentType=false
"""Run smartnoise-synth on raw records: `python raw_smartnoise.py TASK.json OUT.csv`.

Bounds are declared, and numbers fall into 32 bins between them, about as many as results are judged
by (its default of 10 does far worse); it returns mid-points of bins. Categories are those of the
records, which it takes as public.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from snsynth.mst import MSTSynthesizer
from snsynth.transform import BinTransformer, LabelTransformer, TableTransformer

BINS = 32


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    np.random.seed(task["seed"])  # noqa: NPY002
    texts = {of["name"]: str for of in task["columns"] if of["categories"]}
    frame = pd.read_csv(task["records"], dtype=texts)
    transformers = [
        LabelTransformer(nullable=of["missing"])
        if of["categories"]
        else BinTransformer(bins=BINS, lower=of["lower"], upper=of["upper"], nullable=of["missing"])
        for of in task["columns"]
    ]
    model = MSTSynthesizer(epsilon=task["epsilon"], delta=task["delta"])
    model.fit(frame, transformer=TableTransformer(transformers))
    made = pd.DataFrame(model.sample(task["rows"]))
    made.columns = list(frame)
    made.to_csv(sys.argv[2], index=False)


if __name__ == "__main__":
    main()
