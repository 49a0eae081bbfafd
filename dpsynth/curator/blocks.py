"""Records that are not in memory: counted block by block, wherever the blocks are."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.counting import Counter, Recoding, recoded_domain
from dpsynth.curator.tally import Columns, passes
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
    def tally(
        self, cliques: Sequence[Clique], domain: Domain, recoding: Recoding
    ) -> list[NDArray[np.int64]]:
        """Return the counts of each clique, in one pass over the records.

        Args:
            cliques: at least one.
            domain: of the codes that are counted.
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
        for part in passes(cliques, self.domain):
            counted = self._blocks.tally(part, self.domain, self._recoding)
            found.update(zip(part, counted, strict=True))
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


def origins(cliques: Sequence[Clique], recoding: Recoding) -> list[str]:
    """Return the attributes of the records that the counts of `cliques` need, each once."""
    return list(dict.fromkeys(recoding[a][0] for clique in cliques for a in clique))


def recoded_columns(columns: Columns, cliques: Sequence[Clique], recoding: Recoding) -> Columns:
    """Return the columns that `cliques` need, made from the records' own.

    Args:
        columns: the records' own, the `origins` at least.
        cliques: whose attributes are made.
        recoding: how.
    """
    made: dict[str, NDArray[np.integer[Any]]] = {}
    for attribute in dict.fromkeys(a for clique in cliques for a in clique):
        origin, table = recoding[attribute]
        column = columns[origin]
        if table is not None:
            column = table.astype(np.min_scalar_type(int(table.max())))[column]
        made[attribute] = column
    return made
