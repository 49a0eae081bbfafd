# It runs in the peer's environment.
# pyright: reportMissingImports=false, reportPrivateImportUsage=false, reportArgumentType=false
"""Fit smartnoise-synth's MST, as its documentation does, on two neighbours:
`python probe_smartnoise.py TASK.json OUT.json`."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from snsynth import Synthesizer
from snsynth.transform import TableTransformer


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    worlds, codes, warned = [], [], set()
    for rows in (task["first"], task["second"]):
        frame = pd.DataFrame(rows, columns=["town", "sex"])
        labels = TableTransformer.create(
            frame, style="cube", categorical_columns=["town", "sex"], nullable=False
        )
        labels.fit(frame)
        codes.append(len(labels.transformers[0].labels))
        seen = []
        for run in range(task["runs"]):
            np.random.seed(run)  # noqa: NPY002 - the peer draws from the global generator
            model = Synthesizer.create("mst", epsilon=task["epsilon"], delta=1e-5)
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                model.fit(frame, categorical_columns=["town", "sex"], nullable=False)
            warned |= {str(w.message) for w in said if "rivacy" in str(w.message)}
            made = model.sample(task["rows"])
            seen.append(bool((made["town"].astype(str) == task["odd"]).any()))
        worlds.append(seen)
    Path(sys.argv[2]).write_text(
        json.dumps({"codes": codes, "worlds": worlds, "warned": sorted(warned)})
    )


if __name__ == "__main__":
    main()
