"""A factor: one number for each cell of a small domain, and the algebra that elimination needs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import ascii_letters
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Factor:
    """Values over the cells of `domain`, one axis an attribute, in the domain's order.

    Args:
        domain: the attributes of the factor; only these, never the whole table's.
        values: an array of the domain's shape.

    Raises:
        InvalidValueError: the shapes differ.
    """

    domain: Domain
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.values.shape != self.domain.shape:
            raise InvalidValueError(
                "values", self.values.shape, f"of the domain's shape {self.domain.shape}"
            )

    def sum(self, attributes: Iterable[str]) -> "Factor":
        """Return the factor on `attributes`, in that order, summed over all others."""
        domain = self.domain.project(attributes)
        gone = tuple(i for i, a in enumerate(self.domain.attributes) if a not in domain.sizes)
        left = [a for a in self.domain.attributes if a in domain.sizes]
        values = self.values.sum(axis=gone) if gone else self.values
        return Factor(
            domain=domain, values=values.transpose([left.index(a) for a in domain.attributes])
        )

    def expand(self, domain: Domain) -> "Factor":
        """Return the same values repeated over a larger `domain` (a read-only view)."""
        kept = [a for a in domain.attributes if a in self.domain.sizes]
        shape = tuple(n if a in self.domain.sizes else 1 for a, n in domain.sizes.items())
        values = self.values.transpose(self.domain.axes(kept)).reshape(shape)
        return Factor(domain=domain, values=np.broadcast_to(values, domain.shape))


def sum_product(factors: Sequence[Factor], attributes: Iterable[str], *, ceiling: int) -> Factor:
    """Return the product of `factors` summed over everything but `attributes`.

    Args:
        factors: at least one; attributes of the same name have the same size.
        attributes: those to keep, each in some factor, in the order wanted.
        ceiling: largest number of cells of the result and of what is held on the way.

    Raises:
        InvalidValueError: the result would have more cells than `ceiling`, or more than 52
            attributes with several values meet in one product.
    """
    sizes = {a: n for factor in factors for a, n in factor.domain.sizes.items()}
    domain = Domain(sizes=sizes).project(attributes)
    if domain.cells > ceiling:
        raise InvalidValueError("cells of the marginal", domain.cells, f"at most {ceiling}")
    several = [a for a, n in sizes.items() if n > 1]  # einsum needs no letter for the others
    if len(several) > len(ascii_letters):
        raise InvalidValueError("attributes of a product", len(several), "at most 52")
    label = dict(zip(several, ascii_letters, strict=False))
    inputs = ["".join(label.get(a, "") for a in f.domain.attributes) for f in factors]
    output = "".join(label.get(a, "") for a in domain.attributes)
    values = np.einsum(
        f"{','.join(inputs)}->{output}",
        *(np.squeeze(f.values, axis=_single(f.domain)) for f in factors),
        optimize=("greedy", ceiling),
    )
    return Factor(domain=domain, values=np.asarray(values).reshape(domain.shape))


def _single(domain: Domain) -> tuple[int, ...]:
    return tuple(i for i, n in enumerate(domain.shape) if n == 1)
