"""Raw columns larger than memory: read once, checked, and kept as distinct values in order.

Of a column of few distinct numbers memory holds them all, with counts; of more they go to a
temporary file without a name, in sorted runs that are merged when all are there. Then the files are
read a second time, under the schema that was closed; of one that was closed before, what is bought
changes no code, and codes are kept in the first reading.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from os import stat_result
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np

from dpsynth.curator.blocks import StoredRecords
from dpsynth.curator.number_spool import NumberSpool
from dpsynth.curator.raw_columns import RawColumns
from dpsynth.curator.spool import Spool, spooled, temporary
from dpsynth.curator.tally import BLOCK
from dpsynth.curator.unit import check_rows
from dpsynth.data.encoding import Codec
from dpsynth.data.identity import countable_unit
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.parts import read_blocks
from dpsynth.data.raw import RawTexts
from dpsynth.data.raw_block import RawBlock
from dpsynth.data.raw_numbers import RawNumbers
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DataError, FileError, NoRecordsError
from dpsynth.privacy.budget import Budget

Reading: TypeAlias = Callable[[Schema], AbstractContextManager[StoredRecords]]

HELD = 2**22
"""Distinct numbers that memory holds, of all columns together; 16 bytes each."""
TEXT_BYTES = 2**29
"""What texts of open columns may take in memory, together; each has its letters and some more."""
_A_TEXT = 200


@contextmanager
def raw_spooled(paths: Sequence[Path], schema: OpenSchema) -> Generator[RawColumns]:
    """Hold the raw columns of files, in memory that does not grow with the number of records.

    Args:
        paths: CSV and Parquet files, whose records are those of one table.
        schema: what is public about them.

    Raises:
        FileError: a file is missing, unreadable or not of its kind, or there is no room.
        InvalidValueError: of a unit's column, as of `countable_unit`.
        UnknownNameError, DataError: records that do not fit the schema.
    """
    with ExitStack() as codes:
        if schema.open_columns:
            make, reading = block_of(schema), _again(paths)
        else:
            spool = Spool(codes.enter_context(temporary()), schema.declared.domain)
            make, reading = _encoding(schema.declared, block_of(schema), spool), _held(spool)
        blocks = (
            block for path in paths for block in read_blocks(path, schema.columns, make, rows=BLOCK)
        )
        with gathered(blocks, schema, reading) as columns:
            yield columns


def _again(paths: Sequence[Path]) -> Reading:
    """Return what reads files a second time; they must not change from now on."""
    states = [_state(path) for path in paths]

    @contextmanager
    def reading(closed: Schema) -> Generator[StoredRecords]:
        with spooled(paths, closed) as stored:
            for path, state in zip(paths, states, strict=True):
                if _state(path) != state:
                    raise FileError(path, "it changed while its records were counted")
            yield stored

    return reading


def _encoding(
    schema: Schema, make: Callable[[Any], RawBlock], spool: Spool
) -> Callable[[Any], RawBlock]:
    """Return what makes a block of a frame, and keeps the codes of its records as well."""
    codec = Codec(schema=schema)

    def made(frame: Any) -> RawBlock:
        block = make(frame)
        if block.kept:
            spool.append(codec.encode(Table.from_frame(schema, frame)))
        return block

    return made


def _held(spool: Spool) -> Reading:
    """Return what has the records already: only how values spread within bins is new."""
    return lambda closed: nullcontext(StoredRecords(schema=closed, blocks=spool))


@contextmanager
def gathered(
    blocks: Iterable[RawBlock], schema: OpenSchema, reading: Reading
) -> Generator[RawColumns]:
    """Hold the raw columns of records that come in blocks.

    Args:
        blocks: in any order.
        schema: of all of them.
        reading: reads the same records again, under a closed schema.
    """
    countable_unit(schema.declared.unit, schema.columns)  # refused before anything is read
    with ExitStack() as second, ExitStack() as files:
        columns = SpooledColumns(lambda closed: second.enter_context(reading(closed)), files)
        for block in blocks:
            columns.add(block)
        columns.finish()
        yield columns


def block_of(schema: OpenSchema) -> Callable[[Any], RawBlock]:
    """Return what makes a block of a frame; on a worker, too."""
    return partial(RawBlock.of, schema)


def _state(path: Path) -> tuple[int, int] | None:
    """Return what a change of a file changes, None of one that reading will refuse."""
    try:
        found: stat_result = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


@final
class SpooledColumns(RawColumns):
    """Distinct values of records that come in blocks; `finish` comes before all questions.

    Args:
        reading: returns the records under a closed schema.
        files: closes the temporary files.
    """

    def __init__(self, reading: Callable[[Schema], StoredRecords], files: ExitStack) -> None:
        self._reading, self._files = reading, files
        self._rows = self._kept = self._text_bytes = 0
        self._spools: dict[str, NumberSpool] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._units = np.empty(0, dtype=np.int64)
        self._numbers: dict[str, RawNumbers] = {}
        self._texts: dict[str, RawTexts] = {}

    @property
    def rows(self) -> int:
        return self._rows

    def add(self, block: RawBlock) -> None:
        """Add some records.

        Raises:
            FileError: there is no room for them.
            DataError: too many distinct texts.
        """
        most = HELD // max(len(block.numbers), 1)
        for name, numbers in block.numbers.items():
            if name not in self._spools:
                self._spools[name] = NumberSpool(self._files, most=most)
            self._spools[name].add(numbers)
        for name, texts in block.texts.items():
            self._add_texts(name, texts)
        self._units = self._units + block.units if self._rows else block.units
        self._rows += block.rows
        self._kept += block.kept

    def finish(self) -> None:
        """Put what was added in order.

        Raises:
            FileError: there is no room for it.
            NoRecordsError: there are none, or none that keeps the schema's constraints.
        """
        if self._kept == 0:
            raise NoRecordsError(*(["no rows that keep the constraints"] if self._rows else []))
        self._numbers = {name: spool.numbers() for name, spool in self._spools.items()}
        self._texts = {name: RawTexts.of(counts) for name, counts in self._counts.items()}
        self._counts.clear()

    def numbers(self, name: str) -> RawNumbers:
        return self._numbers[name]

    def texts(self, name: str) -> RawTexts | None:
        return self._texts.get(name)

    def check_units(self, budget: Budget) -> None:
        if len(self._units):
            check_rows(int(self._units.max()), budget)

    def under(self, schema: Schema) -> StoredRecords:
        self._numbers.clear()
        self._texts.clear()
        self._files.close()
        return self._reading(schema)

    def _add_texts(self, name: str, texts: RawTexts) -> None:
        known = self._counts.setdefault(name, {})
        for text, count in zip(texts.texts, texts.counts.tolist(), strict=True):
            if text not in known:
                self._text_bytes += len(text.encode(errors="replace")) + _A_TEXT
            known[text] = known.get(text, 0) + count
        if self._text_bytes > TEXT_BYTES:
            rule = "there are too many to count them out of memory: declare its categories, leave "
            rule += "it out, or name it as the unit"
            raise DataError(name, f"{len(known)} distinct texts", rule)
