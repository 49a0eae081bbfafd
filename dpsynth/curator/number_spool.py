"""The numbers of one column that are too many for memory: sorted runs in a file, merged at the end.

The files have no names, as those of `spool`.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from os import pread
from tempfile import gettempdir
from typing import IO, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.spool import temporary
from dpsynth.data.raw_numbers import STRIDE, Counted, RawNumbers, Vector, merged, together
from dpsynth.errors import FileError


@final
class NumberSpool:
    """Numbers of one column: distinct ones in memory, in a file where they are too many.

    Args:
        files: closes the file, if there is one.
        most: how many distinct ones memory holds before they are written down.
    """

    def __init__(self, files: ExitStack, *, most: int) -> None:
        self._files, self._most = files, most
        self._held: list[Counted] = []
        self._size = self._missing = 0
        self._runs: list[RawNumbers] = []
        self._place: tuple[ExitStack, IO[bytes]] | None = None
        self._written = 0

    def add(self, numbers: RawNumbers) -> None:
        """Add the numbers of some records.

        Raises:
            FileError: there is no room for them.
        """
        self._missing += numbers.missing
        self._held += numbers.distinct()
        self._size += len(numbers)
        if self._size > self._most:
            self._join()
        if self._size > self._most // 2 and len(self._held) == 1:
            self._write_run()

    def numbers(self) -> RawNumbers:
        """Return all numbers; nothing is added afterwards.

        Raises:
            FileError: there is no room for them.
        """
        self._join()
        if self._place is None:
            return RawNumbers.counted(self._held.pop(), self._missing)
        self._write_run()
        capacity = sum(map(len, self._runs))
        file = self._files.enter_context(temporary())
        found = written(file, 0, capacity, merged(self._runs), missing=self._missing)
        self._place[0].close()
        return found

    def _join(self) -> None:
        self._held = [together([(np.empty(0), np.empty(0, dtype=np.int64)), *self._held])]
        self._size = len(self._held[0][0])

    def _write_run(self) -> None:
        if self._place is None:
            own = self._files.enter_context(ExitStack())
            self._place = (own, own.enter_context(temporary()))
        run = written(self._place[1], self._written, self._size, self._held, missing=0)
        self._written += 16 * self._size
        self._runs.append(run)
        self._held, self._size = [], 0


@final
class FileVector(Vector):
    """Numbers of one type in a file, read part by part.

    Args:
        file: open for reading.
        at: where they begin, in bytes.
        size: how many there are.
        dtype: of eight bytes.
    """

    def __init__(self, file: IO[bytes], at: int, size: int, dtype: Any) -> None:
        self._file, self._at, self._size, self._dtype = file, at, size, np.dtype(dtype)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        start, stop, _ = rows.indices(self._size)
        wanted = 8 * max(stop - start, 0)
        held = bytearray()
        while len(held) < wanted:
            found = pread(self._file.fileno(), wanted - len(held), self._at + 8 * start + len(held))
            if not found:
                raise FileError(gettempdir(), "numbers that were kept there are lost")
            held += found
        return np.frombuffer(held, dtype=self._dtype)


def written(
    file: IO[bytes], at: int, capacity: int, parts: Iterable[Counted], *, missing: int
) -> RawNumbers:
    """Write distinct numbers and their counts to a file, and return them as they are there.

    Args:
        file: open for reading and writing, without a buffer.
        at: where they begin, in bytes.
        capacity: how many there are at most.
        parts: in order.
        missing: records without a number.

    Raises:
        FileError: there is no room for them.
    """
    size = rows = 0
    index: list[NDArray[np.float64]] = []
    for values, counts in parts:
        ends = rows + np.cumsum(counts)
        _put(file, at + 8 * size, values)
        _put(file, at + 8 * (capacity + size), ends)
        index.append(values[-size % STRIDE :: STRIDE])
        size, rows = size + len(values), int(ends[-1]) if len(ends) else rows
    return RawNumbers(
        FileVector(file, at, size, np.float64),
        FileVector(file, at + 8 * capacity, size, np.int64),
        np.concatenate(index),
        missing,
    )


def _put(file: IO[bytes], at: int, array: NDArray[Any]) -> None:
    column = memoryview(array.tobytes())
    try:
        file.seek(at)
        while column:
            column = column[file.write(column) :]
    except OSError as error:
        rule = f"numbers cannot be kept there ({error.strerror or error}); set TMPDIR elsewhere"
        raise FileError(gettempdir(), rule) from error
