# It runs in the peer's environment.
# pyright: reportMissingImports=false, reportPrivateImportUsage=false, reportArgumentType=false
"""Repeat DataSynthesizer's noisy counts on two neighbours: `python probe_...py TASK.json OUT.json`.

What is called is its own function for the counts of PrivBayes, with its own arguments.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from DataSynthesizer.lib.PrivBayes import get_noisy_distribution_of_attributes


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    np.random.seed(task["seed"])  # noqa: NPY002 - the peer draws from the global generator
    worlds = []
    for rows in (task["first"], task["second"]):
        frame = pd.DataFrame(rows, columns=["a", "b"])
        counts = []
        for _ in range(task["runs"]):
            found = get_noisy_distribution_of_attributes(["a", "b"], frame, task["epsilon"])
            cell = found[(found["a"] == task["cell"][0]) & (found["b"] == task["cell"][1])]
            counts.append(float(cell["count"].iloc[0]))
        worlds.append(counts)
    Path(sys.argv[2]).write_text(json.dumps(worlds))


if __name__ == "__main__":
    main()
