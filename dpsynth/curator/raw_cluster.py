"""Raw columns of records on a Dask cluster: workers read and check them, and send distinct values.

What crosses the wire here are values and how often each occurs, column by column, not counts of
cells alone: nothing but the process that asks may spend the budget, and it has none to spend before
bounds and categories are known.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dpsynth.curator.blocks import StoredRecords
from dpsynth.curator.cluster import Part, connected, each, holding, parts_of, unchanged
from dpsynth.curator.raw_columns import RawColumns
from dpsynth.curator.raw_spool import block_of, gathered
from dpsynth.curator.tally import BLOCK
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.parts import read_blocks
from dpsynth.data.raw_block import RawBlock
from dpsynth.data.schema import Schema


@contextmanager
def raw_clustered(paths: Sequence[Path], schema: OpenSchema, address: str) -> Generator[RawColumns]:
    """Have the workers of a Dask cluster validate the records of files, and gather raw columns.

    Arguments and errors are those of `clustered`, and of `gathered`.
    """
    parts = parts_of(paths)
    with connected(address) as client:

        def blocks() -> Iterator[RawBlock]:
            # Not pure, and kept nowhere: the files are read again for the codes.
            done = client.map(raw_blocks, parts, schema=schema, pure=False)
            for found in each(client, done, address):
                yield from found

        @contextmanager
        def reading(closed: Schema) -> Generator[StoredRecords]:
            yield holding(client, parts, closed, address)

        with gathered(blocks(), schema, reading) as columns:
            yield columns


def raw_blocks(part: Part, schema: OpenSchema) -> list[RawBlock]:
    """Return what is asked of the raw columns of a part, in blocks; on a worker.

    Raises:
        FileError: the file has changed since it was listed.
    """
    blocks = read_blocks(
        Path(part.path), schema.columns, block_of(schema), rows=BLOCK, groups=part.groups
    )
    with unchanged(part):
        return list(blocks)
