"""Records larger than memory: validated and encoded once, into a temporary file of small integers.

The file has no name: it lies in the folder for temporary files (`TMPDIR`), only this process can
open it, and the system takes it back when the process ends, however it ends.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.blocks import Blocks, StoredRecords, origins, recoded_columns
from dpsynth.curator.counting import Recoding
from dpsynth.curator.tally import BLOCK, Columns, Pass, Tally
from dpsynth.data.domain import Domain
from dpsynth.data.encoding import Codec, Codes
from dpsynth.data.parts import read_parts
from dpsynth.data.schema import Schema
from dpsynth.errors import FileError, NoRecordsError


@contextmanager
def spooled(paths: Sequence[Path], schema: Schema) -> Generator[StoredRecords]:
    """Hold the records of files for counting, in memory that does not grow with their number.

    Args:
        paths: CSV and Parquet files, whose records are those of one table.
        schema: of all of them.

    Raises:
        FileError: a file is missing, unreadable or not of its kind, or there is no room for codes.
        UnknownNameError, DataError: records that do not fit the schema.
    """
    codec = Codec(schema=schema)
    with temporary() as file:
        spool = Spool(file, codec.domain)
        for table in read_parts(paths, schema, rows=BLOCK):
            spool.append(codec.encode(table))
        if spool.rows == 0:
            raise NoRecordsError()
        yield StoredRecords(schema=schema, blocks=spool)


@contextmanager
def temporary() -> Generator[IO[bytes]]:
    """Open a file without a name and without a buffer.

    Raises:
        FileError: none can be made.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(TemporaryFile(buffering=0))
        except OSError as error:
            rule = f"no temporary file can be made ({error.strerror or error}); set TMPDIR"
            raise FileError("the folder for temporary files", rule) from error
        yield file


@final
class Spool(Blocks):
    """Codes in a file, block after block and column after column.

    Args:
        file: open for reading and writing, empty, without a buffer.
        domain: of the codes; each column has the smallest type that holds its own.
    """

    def __init__(self, file: IO[bytes], domain: Domain) -> None:
        self._file = file
        self._types = {a: np.min_scalar_type(n - 1) for a, n in domain.sizes.items()}
        self._blocks: list[int] = []

    @property
    def where(self) -> str:
        return "in a file"

    @property
    def rows(self) -> int:
        return sum(self._blocks)

    def append(self, codes: Codes) -> None:
        """Write a block of records.

        Args:
            codes: one row a record, one column an attribute of the domain.

        Raises:
            FileError: there is no room for them.
        """
        try:
            for i, dtype in enumerate(self._types.values()):
                column = memoryview(codes[:, i].astype(dtype).tobytes())
                while column:
                    column = column[self._file.write(column) :]
        except OSError as error:
            rule = f"codes cannot be kept there ({error.strerror or error}); set TMPDIR elsewhere"
            raise FileError(gettempdir(), rule) from error
        self._blocks.append(len(codes))

    def tally(self, plan: Pass, recoding: Recoding) -> list[NDArray[np.int64]]:
        tally = Tally(plan)
        for columns in self._read(origins(plan, recoding)):
            tally.add(recoded_columns(columns, plan, recoding))
        return tally.counts()

    def _read(self, attributes: Iterable[str]) -> Iterator[Columns]:
        wanted, start = set(attributes), 0
        for rows in self._blocks:
            columns: dict[str, NDArray[np.integer[Any]]] = {}
            for attribute, dtype in self._types.items():
                if attribute in wanted:
                    self._file.seek(start)
                    column = np.fromfile(self._file, dtype=dtype, count=rows)
                    if len(column) < rows:
                        raise FileError(gettempdir(), "codes that were kept there are lost")
                    columns[attribute] = column
                start += rows * dtype.itemsize
            yield columns
