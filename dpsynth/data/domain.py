"""The discrete domain: named attributes in a fixed order, each with a finite number of codes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import TypeAlias, final

from dpsynth.errors import InvalidValueError, UnknownNameError

Clique: TypeAlias = tuple[str, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Domain:
    """Attributes and their numbers of codes; the order of `sizes` is the order of axes everywhere.

    Args:
        sizes: attribute -> number of codes, at least 1 each.

    Raises:
        InvalidValueError: no attribute, or a size below 1.
    """

    sizes: Mapping[str, int]

    def __post_init__(self) -> None:
        if not self.sizes:
            raise InvalidValueError("domain", dict(self.sizes), "at least one attribute")
        for attribute, size in self.sizes.items():
            if size < 1:
                raise InvalidValueError(f"size of {attribute!r}", size, "at least 1")
        object.__setattr__(self, "sizes", MappingProxyType(dict(self.sizes)))

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (dict(self.sizes),))

    def __hash__(self) -> int:
        return hash(tuple(self.sizes.items()))

    @property
    def attributes(self) -> Clique:
        return tuple(self.sizes)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.sizes.values())

    @property
    def cells(self) -> int:
        """Number of cells of the full contingency table (an exact int; may be astronomic)."""
        return prod(self.sizes.values())

    def project(self, attributes: Iterable[str]) -> "Domain":
        """Return the domain of `attributes`, in the order given.

        Raises:
            UnknownNameError: an attribute that the domain lacks.
        """
        wanted = tuple(attributes)
        for attribute in wanted:
            if attribute not in self.sizes:
                raise UnknownNameError("attribute", attribute, self.sizes)
        return Domain(sizes={a: self.sizes[a] for a in wanted})

    def cells_of(self, attributes: Clique) -> int:
        """Return the number of cells of the marginal of `attributes` (an exact int).

        This is `project(attributes).cells` without the domain in between: mechanisms ask it of
        every candidate in every round.

        Raises:
            UnknownNameError: an attribute that the domain lacks.
        """
        try:
            return prod([self.sizes[a] for a in attributes])
        except KeyError:
            return self.project(attributes).cells

    def canonical(self, attributes: Iterable[str]) -> Clique:
        """Return `attributes` without repetition in the domain's own order."""
        wanted = set(attributes)
        unknown = wanted - set(self.sizes)
        if unknown:
            raise UnknownNameError("attribute", sorted(unknown)[0], self.sizes)
        return tuple(a for a in self.sizes if a in wanted)

    def axes(self, attributes: Iterable[str]) -> tuple[int, ...]:
        """Return the axis of each of `attributes` in an array of this domain's shape."""
        order = {a: i for i, a in enumerate(self.sizes)}
        return tuple(order[a] for a in attributes)


def _rebuild(sizes: dict[str, int]) -> Domain:
    return Domain(sizes=sizes)
