"""Exact counts of any clique: columns packed into mixed-radix keys, counted in one pass."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain

# Cells of exact counts that are remembered between queries: 2**22 int64 are 32 MiB.
MEMORY_CELLS = 2**22
CHUNK = 2**16
"""Rows that are counted at a time."""

Recoding: TypeAlias = Mapping[str, tuple[str, NDArray[np.intp] | None]]
"""Attribute -> the attribute that it is made from, and for each code of that the new one (None: as
they are). New codes count from 0, none left out."""


@final
class CellCounter:
    """Counts cells of one set of records and remembers what it counted.

    Selection asks for the same candidates round after round; counting them again would cost more
    than everything else. What is remembered is as secret as the records.

    Args:
        codes: n x d integer codes, columns in the order of the domain's attributes.
        domain: the attributes and their numbers of codes.
    """

    def __init__(self, codes: NDArray[np.integer[Any]], domain: Domain) -> None:
        self._codes = np.asfortranarray(codes)
        self._columns = dict(zip(domain.attributes, self._codes.T, strict=True))
        self._domain = domain
        self._rows = int(codes.shape[0])
        self._counted: OrderedDict[Clique, NDArray[np.int64]] = OrderedDict()
        self._cells = 0
        self._derived: dict[Hashable, float] = {}

    def __repr__(self) -> str:
        return f"CellCounter(attributes={self._domain.attributes})"

    @property
    def domain(self) -> Domain:
        """The attributes and their numbers of codes."""
        return self._domain

    @property
    def rows(self) -> int:
        """The exact number of records: a secret under add/remove."""
        return self._rows

    @property
    def codes(self) -> NDArray[np.integer[Any]]:
        """The records themselves, one column an attribute: secret."""
        return self._codes

    def recoded(self, tables: Recoding) -> "CellCounter":
        """Return the counter of the same records under other codes.

        Args:
            tables: how each attribute of the new records is made from one of these.
        """
        codes = np.empty((self._rows, len(tables)), dtype=self._codes.dtype, order="F")
        for i, (origin, table) in enumerate(tables.values()):
            column = self._columns[origin]
            codes[:, i] = column if table is None else table[column]
        return CellCounter(codes, recoded_domain(self._domain, tables))

    def counts(self, clique: Clique) -> NDArray[np.int64]:
        """Return the number of records in each cell, axes in the order of `clique`; read-only."""
        found = self._counted.get(clique)
        if found is not None:
            self._counted.move_to_end(clique)
            return found
        counted = self.count_anew(clique)
        self._counted[clique] = counted
        self._cells += counted.size
        while self._cells > MEMORY_CELLS and len(self._counted) > 1:
            self._cells -= self._counted.popitem(last=False)[1].size
        return counted

    def count_anew(self, clique: Clique) -> NDArray[np.int64]:
        """Return what `counts` returns, without remembering it."""
        domain = self._domain.project(clique)
        counted = np.zeros(domain.cells, dtype=np.int64)
        # Keys of one chunk stay in the processor's cache, which halves the time; a chunk has no
        # fewer rows than there are cells, so that adding its counts up costs less than counting.
        chunk = max(CHUNK, domain.cells)
        for start in range(0, self._rows, chunk):
            key = self._key(clique, domain, slice(start, start + chunk))
            counted += np.bincount(key, minlength=domain.cells)
        counted = counted.reshape(domain.shape)
        counted.flags.writeable = False
        return counted

    def derived(self, key: Hashable, compute: Callable[[], float]) -> float:
        """Return a number that depends on the records, computing it the first time only."""
        if key not in self._derived:
            self._derived[key] = compute()
        return self._derived[key]

    def _key(self, clique: Clique, domain: Domain, rows: slice) -> NDArray[np.integer[Any]]:
        # The smallest dtype that holds every cell: half the bytes is half the time.
        dtype = np.min_scalar_type(domain.cells - 1)
        key = self._columns[clique[0]][rows].astype(dtype)
        for attribute in clique[1:]:
            size = domain.sizes[attribute]
            # A size of 256 overflows uint8 only when all other sizes are 1; then the key is 0.
            if size > 1:
                key *= dtype.type(size % (np.iinfo(dtype).max + 1))
                key += self._columns[attribute][rows].astype(dtype)
        return key


def recoded_domain(domain: Domain, tables: Recoding) -> Domain:
    """Return the domain of records of `domain` under other codes."""
    sizes = {
        name: domain.sizes[origin] if table is None else int(table.max()) + 1
        for name, (origin, table) in tables.items()
    }
    return Domain(sizes=sizes)
