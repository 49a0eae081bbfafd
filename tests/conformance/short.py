"""Generators of the registry with little training, where what they learn is not the point."""

from dataclasses import fields
from typing import Any

from dpsynth.generators.base import Generator
from dpsynth.registry import GENERATORS

_STEPS = ("steps", "inner_steps", "last_steps", "replays")
_SIZES = ("hidden", "latent", "batch", "replay_batch", "features", "diffusion_steps")


def short(name: str) -> Generator:
    """Return the generator called `name` with a tenth of its steps of training, if it has such."""
    return _fewer(name, _STEPS, 10)


def narrow(name: str) -> Generator:
    """Return it with a hundredth of its steps and sizes: enough where only what it asks matters."""
    return _fewer(name, (*_STEPS, *_SIZES), 100)


def _fewer(name: str, of: tuple[str, ...], times: int) -> Generator:
    generator = GENERATORS.get(name)
    given: dict[str, Any] = {f.name: f.default for f in fields(generator) if f.name in of}
    return generator(**{each: max(2, default // times) for each, default in given.items()})
