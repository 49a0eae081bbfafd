"""What the verb evaluate says of synthetic records added to real ones."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from dpsynth.cli.output import show

if TYPE_CHECKING:
    import numpy as np

    from dpsynth.data.datasets import Target
    from dpsynth.data.table import Table


def judge_augmentation(
    tables: "tuple[Table, Table, Table]", target: "Target", rng: "np.random.Generator"
) -> dict[str, Any]:
    """Print whether synthetic records teach more than real ones alone, and return it for JSON.

    Args:
        tables: training, hold-out and synthetic records.
        target: what is predicted.
        rng: source of the fits.
    """
    from dpsynth.evaluation.augmentation import augmentation_gain

    train, unseen, synthetic = tables
    found = augmentation_gain(train, synthetic, unseen, target=target, rng=rng)
    verdict = "a gain" if found.claimed else "no gain is claimed"
    click.echo(
        f"\nREAL alone predicts with an area of {show(found.real)}, with SYNTHETIC added "
        f"{show(found.augmented)}:\ndifference {show(found.gain)}, 95% interval from "
        f"{show(found.lower)} to {show(found.upper)}: {verdict}."
    )
    return {**asdict(found), "claimed": found.claimed}
