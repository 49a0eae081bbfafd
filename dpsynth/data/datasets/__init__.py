"""Named data sets: each loader returns records with their schema, target, source and licence."""

from dpsynth.data.datasets.dataset import Dataset, Target

__all__ = ["Dataset", "Target"]
