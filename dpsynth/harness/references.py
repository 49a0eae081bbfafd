"""The references of a split, computed by the first cell that needs them and kept for the others."""

from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from dpsynth.atomic import write_atomically
from dpsynth.harness.cell import Cell

if TYPE_CHECKING:
    from dpsynth.data.datasets import Target
    from dpsynth.data.table import Table
    from dpsynth.evaluation.metric import Metric
    from dpsynth.evaluation.references import References


def references_of(
    cell: Cell,
    train: "Table",
    holdout: "Table",
    metrics: "list[Metric]",
    target: "Target | None",
) -> "References":
    """Return the references of `metrics` on the cell's split.

    They depend on the split alone, so that every generator is held against the same numbers, and a
    kept answer equals a computed one to the bit.
    """
    from dpsynth.evaluation.references import References

    assert cell.dataset is not None
    key = [asdict(cell.fingerprint), asdict(cell.dataset), cell.seed, cell.holdout]
    key.append(sorted(metric.identity for metric in metrics))
    name = sha256(msgspec.json.encode(key, order="deterministic")).hexdigest()
    path = None if cell.cache is None else cell.cache / f"{name}.json"
    if path is not None and path.exists():
        try:
            return msgspec.json.decode(path.read_bytes(), type=References)
        except (msgspec.DecodeError, OSError):
            pass  # a damaged file is as good as none
    found = References.compute(
        train,
        holdout,
        metrics=metrics,
        target=target,
        rng=np.random.default_rng(cell.stream("references", cell.dataset.name)),
    )
    if path is not None:
        write_atomically(path, msgspec.json.encode(found))
    return found
