"""Codes that forget themselves, step by step, until the laws of single columns are left."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# What is left of a record's code at the last step, where only the column's law should be.
_LEAST_KEPT = 0.01


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Noising:
    """How the code of each attribute forgets what it was, in steps, column by column.

    Attributes forget independently. The kernel of an attribute from step to step is reversible in
    its law, which therefore stays the law at every step. A categorical code is kept, or drawn anew
    from the law (multinomial diffusion whose end is that law, not the uniform one). An ordered code
    wanders to its neighbours and the slowest mode of the walk decays as the categorical codes do.

    Args:
        laws: of each attribute, each probability above 0.
        ordered: whether each attribute's codes are neighbours of one another.
        steps: how many.

    Reference: Hoogeboom et al. 2021, equations 11 to 14 (multinomial diffusion); Austin et al.
        2021, appendix A (ordered kernels); Nichol & Dhariwal 2021, equation 17 (cosine schedule).
    """

    laws: tuple[Array, ...]
    ordered: tuple[bool, ...]
    steps: int

    @cached_property
    def kept(self) -> Array:
        """What is left after each number of steps from 0, falling from 1."""
        at = np.linspace(0.0, 1.0, self.steps + 1)
        return np.maximum(np.cos(0.5 * np.pi * at) ** 2, _LEAST_KEPT * at)

    @cached_property
    def so_far(self) -> tuple[Array, ...]:
        """Of each attribute, (steps + 1, code before, code now): the probability of each code after
        so many steps."""
        return tuple(
            np.stack([_kernel(law, kept, walk) for kept in self.kept])
            for law, walk in zip(self.laws, self.ordered, strict=True)
        )

    @cached_property
    def by_step(self) -> tuple[Array, ...]:
        """Of each attribute, (steps, code before, code now): the kernel of each step, from 1."""
        ratios = self.kept[1:] / self.kept[:-1]
        return tuple(
            np.stack([_kernel(law, ratio, walk) for ratio in ratios])
            for law, walk in zip(self.laws, self.ordered, strict=True)
        )

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return what `from_arrays` needs."""
        return {
            "laws": np.concatenate(self.laws),
            "sizes": np.array([len(law) for law in self.laws]),
            "ordered": np.array(self.ordered),
            "steps": np.array(self.steps),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild what `arrays` was given."""
        cuts = np.cumsum(arrays["sizes"])[:-1]
        return cls(
            laws=tuple(np.split(np.asarray(arrays["laws"], dtype=np.float64), cuts)),
            ordered=tuple(bool(of) for of in arrays["ordered"]),
            steps=int(arrays["steps"]),
        )


def _kernel(law: Array, kept: float, walk: bool) -> Array:
    """Return the kernel after which `kept` is left of the slowest mode, rows the codes before."""
    if not walk or len(law) < 3:
        return kept * np.eye(len(law)) + (1.0 - kept) * law[None, :]
    # Rates of a birth-death chain; in this scale its generator is symmetric.
    root = np.sqrt(law)
    up = np.minimum(law[:-1], law[1:])
    generator = np.zeros((len(law), len(law)))
    index = np.arange(len(law) - 1)
    generator[index, index + 1] = generator[index + 1, index] = up
    generator -= np.diag(generator.sum(axis=1))
    modes, vectors = np.linalg.eigh(generator / np.outer(root, root))
    slowest = -modes[-2]
    decayed = kept ** (np.maximum(-modes, 0.0) / slowest)
    found = (vectors * decayed) @ vectors.T * np.outer(1.0 / root, root)
    found = np.maximum(found, 0.0)
    return found / found.sum(axis=1, keepdims=True)
