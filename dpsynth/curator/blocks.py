"""Records that are not in memory: counted block by block, wherever the blocks are."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.counting import Counter, Recoding, recoded_domain
from dpsynth.curator.tally import Columns, Pass, passes
from dpsynth.data.domain import Clique, Domain
from dpsynth.data.schema import Schema
from dpsynth.errors import RecordsElsewhereError


class Blocks(ABC):
    """Encoded records in blocks that can be counted, and no more."""

    @property
    @abstractmethod
    def where(self) -> str:
        """Where the records are, as a sentence says it: "in a file", say."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """The exact number of records: a secret under add/remove."""

    @abstractmethod
    def tally(self, plan: Pass, recoding: Recoding) -> list[NDArray[np.int64]]:
        """Return the counts of each clique of a pass over the records.

        Args:
            plan: what is counted.
            recoding: how its attributes are made from those of the records.
        """


@final
@dataclass(frozen=True, kw_only=True)
class StoredRecords:
    """Records that stay where they are, with their public schema.

    Args:
        schema: under which they were validated.
        blocks: where they are.
    """

    schema: Schema
    blocks: Blocks = field(repr=False)

    @property
    def units(self) -> None:
        """Whose the rows are is not known."""
        return None


@final
class BlockCounter(Counter):
    """Counts of records in blocks, under codes that are made from theirs while counting.

    Args:
        blocks: the records.
        domain: of their codes.
        recoding: how the attributes are made from those of the records; None: they are the same.
    """

    def __init__(self, blocks: Blocks, domain: Domain, recoding: Recoding | None = None) -> None:
        if recoding is None:
            recoding = {a: (a, None) for a in domain.attributes}
        super().__init__(domain)
        self._blocks, self._recoding = blocks, recoding

    @property
    def rows(self) -> int:
        return self._blocks.rows

    @property
    def codes(self) -> NoReturn:
        raise RecordsElsewhereError("DP-SGD", self._blocks.where)

    def recoded(self, tables: Recoding) -> "BlockCounter":
        composed = {name: self._composed(origin, table) for name, (origin, table) in tables.items()}
        return BlockCounter(self._blocks, recoded_domain(self.domain, tables), composed)

    def count_together(self, cliques: Sequence[Clique]) -> list[NDArray[np.int64]]:
        found: dict[Clique, NDArray[np.int64]] = {}
        for plan in passes(cliques, self.domain):
            counted = self._blocks.tally(plan, self._recoding)
            found.update(zip(plan.cliques, counted, strict=True))
        for counts in found.values():
            counts.flags.writeable = False
        return [found[clique] for clique in cliques]

    def _composed(
        self, origin: str, table: NDArray[np.intp] | None
    ) -> tuple[str, NDArray[np.intp] | None]:
        first, before = self._recoding[origin]
        if before is None or table is None:
            return first, before if table is None else table
        return first, table[before]


def origins(plan: Pass, recoding: Recoding) -> list[str]:
    """Return the attributes of the records that a pass needs, each once."""
    return list(dict.fromkeys(recoding[a][0] for a in _attributes(plan)))


def recoded_columns(columns: Columns, plan: Pass, recoding: Recoding) -> Columns:
    """Return the columns that a pass counts, made from the records' own.

    Args:
        columns: the records' own, the `origins` at least.
        plan: whose attributes are made.
        recoding: how.
    """
    made: dict[str, NDArray[np.integer[Any]]] = {}
    for attribute in _attributes(plan):
        origin, table = recoding[attribute]
        column = columns[origin]
        if table is not None:
            column = table.astype(np.min_scalar_type(int(table.max())))[column]
        made[attribute] = column
    return made


def _attributes(plan: Pass) -> list[str]:
    return list(dict.fromkeys(a for attributes, _ in plan.covers for a in attributes))
