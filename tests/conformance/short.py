"""Generators of the registry with few steps of training, where what they learn is not the point."""

from dataclasses import fields
from typing import Any

from dpsynth.generators.base import Generator
from dpsynth.registry import GENERATORS

_STEPS = ("steps", "inner_steps", "last_steps", "replays")
_FEWER = 10


def short(name: str) -> Generator:
    """Return the generator called `name` with a tenth of its steps of training, if it has such."""
    generator = GENERATORS.get(name)
    given: dict[str, Any] = {f.name: f.default for f in fields(generator) if f.name in _STEPS}
    return generator(**{step: max(2, default // _FEWER) for step, default in given.items()})
