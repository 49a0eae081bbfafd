# It runs in the peer's environment.
# pyright: reportMissingImports=false, reportPrivateImportUsage=false, reportArgumentType=false
"""Fit dpmm's MST without a domain on two neighbours: `python probe_dpmm.py TASK.json OUT.json`."""

import json
import logging
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from dpmm.pipelines import MSTPipeline


class Said(logging.Handler):
    """What the peer logs about privacy; it warns in its log."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if "rivacy" in record.getMessage():
            self.heard.add(record.getMessage())


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    worlds, codes, said = [], [], Said()
    logging.getLogger().addHandler(said)
    for rows in (task["first"], task["second"]):
        frame = pd.DataFrame(rows, columns=["town", "sex"])
        processed = MSTPipeline(epsilon=task["epsilon"], delta=1e-5).proc
        processed.fit(frame)
        codes.append(int(processed.bin_domain["town"]))
        seen = []
        for run in range(task["runs"]):
            pipeline = MSTPipeline(epsilon=task["epsilon"], delta=1e-5, disable_processing=False)
            pipeline.fit(frame, random_state=np.random.RandomState(run))
            made = pipeline.generate(n_records=task["rows"])
            seen.append(bool((made["town"].astype(str) == task["odd"]).any()))
        worlds.append(seen)
    Path(sys.argv[2]).write_text(
        json.dumps({"codes": codes, "worlds": worlds, "warned": sorted(said.heard)})
    )


if __name__ == "__main__":
    main()
