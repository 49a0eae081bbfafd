"""What the schema's constraints rule out, in the codes of the records and in those of a view."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.counting import Recoding, recoded_domain
from dpsynth.data.domain import Clique, Domain
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.support import check_size, essential, possible_cells
from dpsynth.privacy.budget import Budget, Neighbouring

Zeros = Mapping[Clique, NDArray[np.bool_]]


def known_zeros(schema: Schema, budget: Budget) -> Zeros:
    """Return the cells that no record can be in; clique -> array, axes in the clique's order.

    What other constraints imply is left out.

    Records that the schema drops leave no trace under add/remove, where each is in or out on its
    own. Under replace one record could become one that is dropped, and the number of those left,
    which that relation takes for public, would tell.

    Raises:
        ContradictionError: the constraints leave no possible record.
        InvalidValueError: they need too large a junction tree, or the schema drops records under
            replace.
    """
    if not schema.constraints:
        return {}
    if schema.on_violation == "drop" and budget.relation is Neighbouring.REPLACE:
        rule = (
            "'add_remove' for a schema that drops records: under 'replace' their number is public"
        )
        raise InvalidValueError("relation", budget.relation.value, rule)
    check_possible(schema)
    return essential(schema.domain, schema.rules.impossible)


def check_possible(schema: Schema | OpenSchema) -> None:
    """Refuse constraints that leave no possible record, before any record is looked at.

    Of an open schema, what is declared says whether they do; the size of their junction tree is
    that with the most codes that columns can have when they are closed.

    Raises:
        ContradictionError: they leave none.
        InvalidValueError: they need too large a junction tree.
    """
    known = schema.declared if isinstance(schema, OpenSchema) else schema
    if known.constraints:
        possible_cells(known.domain, known.rules.impossible)
        if isinstance(schema, OpenSchema):
            check_size(schema.largest, known.rules.impossible)


def zeros_of_groups(zeros: Zeros, domain: Domain, tables: Recoding) -> Zeros:
    """Return the cells of groups of codes that no record can be in.

    Args:
        zeros: cells of codes.
        domain: of the codes.
        tables: how each attribute of groups is made from one of codes.
    """
    names = {origin: name for name, (origin, _) in tables.items()}
    sizes = recoded_domain(domain, tables).sizes
    found: dict[Clique, NDArray[np.bool_]] = {}
    for clique, ruled_out in zeros.items():
        key = tuple(names[a] for a in clique)
        possible: NDArray[Any] = ~ruled_out
        for axis, name in enumerate(key):
            groups = tables[name][1]
            if groups is not None:
                moved = np.moveaxis(possible, axis, 0)
                merged = np.zeros((sizes[name], *moved.shape[1:]), dtype=np.bool_)
                np.logical_or.at(merged, groups, moved)
                possible = np.moveaxis(merged, 0, axis)
        if not possible.all():
            found[key] = ~possible
    return found
