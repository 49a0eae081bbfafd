# It runs in the peer's environment.
# pyright: reportMissingImports=false, reportPrivateImportUsage=false, reportArgumentType=false
"""Run a GAN of smartnoise-synth on a task: `python run_smartnoise_neural.py TASK.json OUT.csv`.

Everything is its default but for delta, and the number of passes where a name says it. One-hot
transformers are fitted to the public codes, so that no domain is read from the records.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from snsynth.pytorch import PytorchDPSynthesizer
from snsynth.pytorch.nn import DPCTGAN, DPGAN, PATECTGAN, PATEGAN
from snsynth.transform import ChainTransformer, LabelTransformer, OneHotEncoder, TableTransformer

GANS = {
    "dpgan": (DPGAN, {}),
    "dpctgan": (DPCTGAN, {}),
    "dpctgan_one_pass": (DPCTGAN, {"epochs": 1}),  # what it is worth in the time that others take
    "pate_gan": (PATEGAN, {}),
    "patectgan": (PATECTGAN, {}),
}


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    np.random.seed(task["seed"])  # noqa: NPY002
    torch.manual_seed(task["seed"])
    frame = pd.read_csv(task["records"], dtype=int)
    sizes = list(task["sizes"].values())
    chains = [ChainTransformer([LabelTransformer(nullable=False), OneHotEncoder()]) for _ in sizes]
    codes = TableTransformer(chains)
    codes.fit([tuple(min(i, size - 1) for size in sizes) for i in range(max(sizes))])
    kind, chosen = GANS[task["mechanism"]]
    gan = kind(epsilon=task["epsilon"], delta=task["delta"], **chosen)
    model = PytorchDPSynthesizer(task["epsilon"], gan)
    model.fit(frame, transformer=codes, categorical_columns=list(frame))
    made = pd.DataFrame(model.sample(task["rows"]))
    made.columns = list(frame)
    made.astype(int).to_csv(sys.argv[2], index=False)


if __name__ == "__main__":
    main()
