"""Exact counts of any clique, remembered; of records in memory, by mixed-radix keys."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain

# Cells of exact counts that are remembered between queries: 2**22 int64 are 32 MiB.
MEMORY_CELLS = 2**22
# Cells of exact counts that are made for derived numbers at a time.
DERIVED_CELLS = 2**20
CHUNK = 2**16
"""Rows that are counted at a time."""

Recoding: TypeAlias = Mapping[str, tuple[str, NDArray[np.intp] | None]]
"""Attribute -> the attribute that it is made from, and for each code of that the new one (None: as
they are). New codes count from 0, none left out."""


class Counter(ABC):
    """Counts cells of one set of records and remembers what it counted.

    Selection asks for the same candidates round after round; counting them again would cost more
    than everything else. What is remembered is as secret as the records. Where the records are is
    the business of its kinds: `CellCounter` has them in memory, `BlockCounter` elsewhere.

    Args:
        domain: the attributes and their numbers of codes.
    """

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._counted: OrderedDict[Clique, NDArray[np.int64]] = OrderedDict()
        self._cells = 0
        self._derived: dict[tuple[str, Clique], float] = {}

    @final
    def __repr__(self) -> str:
        return f"{type(self).__name__}(attributes={self._domain.attributes})"

    @property
    @final
    def domain(self) -> Domain:
        """The attributes and their numbers of codes."""
        return self._domain

    @property
    @abstractmethod
    def rows(self) -> int:
        """The exact number of records: a secret under add/remove."""

    @property
    @abstractmethod
    def codes(self) -> NDArray[np.integer[Any]]:
        """The records themselves, one column an attribute: secret.

        Raises:
            RecordsElsewhereError: they are not in memory.
        """

    @abstractmethod
    def recoded(self, tables: Recoding) -> "Counter":
        """Return the counter of the same records under other codes.

        Args:
            tables: how each attribute of the new records is made from one of these.
        """

    @abstractmethod
    def count_together(self, cliques: Sequence[Clique]) -> list[NDArray[np.int64]]:
        """Return what `counts` returns of each clique, without remembering it.

        All answers are held at once: the caller bounds their cells.
        """

    @final
    def counts(self, clique: Clique) -> NDArray[np.int64]:
        """Return the number of records in each cell, axes in the order of `clique`; read-only."""
        found = self._counted.get(clique)
        if found is not None:
            self._counted.move_to_end(clique)
            return found
        counted = self.count_together([clique])[0]
        self._remember(clique, counted)
        return counted

    @final
    def prepare(self, cliques: Iterable[Clique]) -> None:
        """Count what is about to be asked for, as far as memory has room for it, in one go."""
        wanted: list[Clique] = []
        room = MEMORY_CELLS
        for clique in dict.fromkeys(cliques):
            room -= self._domain.cells_of(clique)
            if room < 0:
                break
            if clique in self._counted:
                self._counted.move_to_end(clique)
            else:
                wanted.append(clique)
        if len(wanted) > 1:
            for clique, counted in zip(wanted, self.count_together(wanted), strict=True):
                self._remember(clique, counted)

    @final
    def derived(
        self,
        name: str,
        cliques: Sequence[Clique],
        compute: Callable[[NDArray[np.int64]], float],
    ) -> list[float]:
        """Return a number that depends on the counts of each clique; these are not remembered.

        Args:
            name: of the number, which is computed the first time only.
            cliques: of which it is wanted.
            compute: counts of a clique -> the number.
        """
        unknown = [c for c in dict.fromkeys(cliques) if (name, c) not in self._derived]
        for part in self._parts(unknown):
            for clique, counted in zip(part, self.count_together(part), strict=True):
                self._derived[name, clique] = compute(counted)
        return [self._derived[name, clique] for clique in cliques]

    def _remember(self, clique: Clique, counted: NDArray[np.int64]) -> None:
        self._counted[clique] = counted
        self._cells += counted.size
        while self._cells > MEMORY_CELLS and len(self._counted) > 1:
            self._cells -= self._counted.popitem(last=False)[1].size

    def _parts(self, cliques: Sequence[Clique]) -> Iterator[list[Clique]]:
        """Yield cliques in order, so many at a time as have not too many cells; one at least."""
        part: list[Clique] = []
        cells = 0
        for clique in cliques:
            cells += self._domain.cells_of(clique)
            if part and cells > DERIVED_CELLS:
                yield part
                part, cells = [], self._domain.cells_of(clique)
            part.append(clique)
        if part:
            yield part


@final
class CellCounter(Counter):
    """Counts of records that are in memory.

    Args:
        codes: n x d integer codes, columns in the order of the domain's attributes.
        domain: the attributes and their numbers of codes.
    """

    def __init__(self, codes: NDArray[np.integer[Any]], domain: Domain) -> None:
        super().__init__(domain)
        self._codes = np.asfortranarray(codes)
        self._columns = dict(zip(domain.attributes, self._codes.T, strict=True))
        self._rows = int(codes.shape[0])

    @property
    def rows(self) -> int:
        return self._rows

    @property
    def codes(self) -> NDArray[np.integer[Any]]:
        return self._codes

    def recoded(self, tables: Recoding) -> "CellCounter":
        codes = np.empty((self._rows, len(tables)), dtype=self._codes.dtype, order="F")
        for i, (origin, table) in enumerate(tables.values()):
            column = self._columns[origin]
            codes[:, i] = column if table is None else table[column]
        return CellCounter(codes, recoded_domain(self._domain, tables))

    def count_together(self, cliques: Sequence[Clique]) -> list[NDArray[np.int64]]:
        return [self.count_anew(clique) for clique in cliques]

    def count_anew(self, clique: Clique) -> NDArray[np.int64]:
        """Return what `counts` returns, without remembering it."""
        domain = self._domain.project(clique)
        counted = np.zeros(domain.cells, dtype=np.int64)
        # Keys of one chunk stay in the processor's cache, which halves the time; a chunk has no
        # fewer rows than there are cells, so that adding its counts up costs less than counting.
        chunk = max(CHUNK, domain.cells)
        for start in range(0, self._rows, chunk):
            rows = slice(start, start + chunk)
            key = cell_keys([self._columns[a][rows] for a in clique], domain.shape)
            counted += np.bincount(key, minlength=domain.cells)
        counted = counted.reshape(domain.shape)
        counted.flags.writeable = False
        return counted


def cell_keys(
    columns: Sequence[NDArray[np.integer[Any]]], shape: Sequence[int]
) -> NDArray[np.integer[Any]]:
    """Return each record's cell, as a number in the smallest type that holds every cell.

    Args:
        columns: codes of at least one attribute, of equal length.
        shape: their numbers of codes.
    """
    # Half the bytes is half the time.
    dtype = np.min_scalar_type(prod(shape) - 1)
    key = columns[0].astype(dtype)
    for column, size in zip(columns[1:], shape[1:], strict=True):
        # A size of 256 overflows uint8 only when all other sizes are 1; then the key is 0.
        if size > 1:
            key *= dtype.type(size % (np.iinfo(dtype).max + 1))
            key += column.astype(dtype)
    return key


def recoded_domain(domain: Domain, tables: Recoding) -> Domain:
    """Return the domain of records of `domain` under other codes."""
    sizes = {
        name: domain.sizes[origin] if table is None else int(table.max()) + 1
        for name, (origin, table) in tables.items()
    }
    return Domain(sizes=sizes)
