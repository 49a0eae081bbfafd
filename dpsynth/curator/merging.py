"""Codes merged into groups, so that a marginal of them has fewer cells for the same noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.counting import Counter, Recoding, recoded_domain
from dpsynth.curator.queries import Query
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Budget

_GROUPS = " (groups)"


@final
@dataclass(frozen=True, kw_only=True)
class Merging:
    """Attributes that take the place of others, with groups of codes for codes.

    It must be public: chosen from the schema or from answers that were paid for.

    Args:
        groups: attribute -> for each of its codes the group, counted from 0, none left out.

    Raises:
        InvalidValueError: a group that is left out or negative, or an attribute without codes.
    """

    groups: Mapping[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        for attribute, groups in self.groups.items():
            if set(groups) != set(range(len(set(groups)))) or not groups:
                rule = "numbers from 0 with none left out, one a code"
                raise InvalidValueError(f"groups of {attribute!r}", groups, rule)
        object.__setattr__(self, "groups", MappingProxyType(dict(self.groups)))

    def names(self, domain: Domain) -> dict[str, str]:
        """Return attribute -> what its groups are called: a name that `domain` does not have.

        Receipts show it, that of groups of groups too.
        """
        found: dict[str, str] = {}
        taken = set(domain.attributes)
        for attribute in self.groups:
            of, grouped, _ = attribute.partition(_GROUPS)
            name = f"{of} (coarser groups)" if grouped else f"{attribute}{_GROUPS}"
            while name in taken:
                name += "'"
            taken.add(name)
            found[attribute] = name
        return found

    def tables(self, domain: Domain) -> Recoding:
        """Return each merged attribute's name, origin and groups, in the order of `domain`.

        Attributes that are not merged keep their name and have no groups.

        Raises:
            InvalidValueError: groups for another number of codes than an attribute has.
            UnknownNameError: an attribute that the domain lacks.
        """
        domain.canonical(self.groups)  # refuses unknown attributes
        names, found = self.names(domain), dict[str, tuple[str, NDArray[np.intp] | None]]()
        for attribute, size in domain.sizes.items():
            groups = self.groups.get(attribute)
            if groups is None:
                found[attribute] = attribute, None
                continue
            if len(groups) != size:
                rule = f"{size}, one for each code"
                raise InvalidValueError(f"groups of {attribute!r}", len(groups), rule)
            found[names[attribute]] = attribute, np.array(groups)
        return found


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class MergedQuery(Query):
    """A query of merged codes, stated of the codes that they were made from.

    Sensitivity: that of `query`. Each record's codes are replaced by public functions of
    themselves, so tables that differ in one unit's rows differ in the same rows afterwards.

    Args:
        query: what is asked of the merged codes.
        merging: how these come from the records' own.
    """

    query: Query
    merging: Merging

    def check(self, domain: Domain) -> None:
        self.query.check(recoded_domain(domain, self.merging.tables(domain)))

    def evaluate(self, counter: Counter) -> NDArray[Any]:
        return self.query.evaluate(counter.recoded(self.merging.tables(counter.domain)))

    def sensitivity(self, budget: Budget) -> float:
        return self.query.sensitivity(budget)
