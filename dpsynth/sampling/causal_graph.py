"""A public causal graph over columns: who causes whom, as a user states it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Any, Self, final

from dpsynth.data.domain import Clique
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError


@final
@dataclass(frozen=True, kw_only=True)
class CausalGraph:
    """Columns and their direct causes; a column that is no key has none.

    It is public knowledge: whoever draws it from the records has to buy it.

    Args:
        parents: column -> its causes.

    Raises:
        InvalidValueError: a cycle.
    """

    parents: Mapping[str, Clique]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parents", MappingProxyType(dict(self.parents)))
        try:
            tuple(TopologicalSorter(self.parents).static_order())
        except CycleError as error:
            raise InvalidValueError(
                "the causal graph", " -> ".join(error.args[1]), "without a cycle"
            ) from None

    @classmethod
    def of(cls, schema: Schema, parents: Mapping[str, Any]) -> Self:
        """Return the graph that a user writes as column -> list of its causes.

        Raises:
            InvalidValueError: no mapping to lists of columns, a cause twice, a cycle.
            UnknownNameError: a column that the schema lacks.
        """
        if not isinstance(parents, Mapping):
            raise InvalidValueError("the causal graph", parents, "a mapping of columns to lists")
        found: dict[str, Clique] = {}
        for child, causes in parents.items():
            listed = isinstance(causes, Collection) and not isinstance(causes, str | bytes)
            if not listed or len(set(causes)) < len(causes):
                raise InvalidValueError(
                    f"the causes of {child!r}", causes, "a list of columns, each named once"
                )
            found[schema.column(child).name] = tuple(schema.column(str(c)).name for c in causes)
        return cls(parents=found)

    def descendants(self, columns: Iterable[str]) -> Clique:
        """Return what `columns` cause, directly or not, causes before their effects."""
        causing = set(columns)
        start = frozenset(causing)
        found: list[str] = []
        for column in TopologicalSorter(self.parents).static_order():
            if column not in start and causing.intersection(self.parents.get(column, ())):
                causing.add(column)
                found.append(column)
        return tuple(found)
