"""Records that stay with the workers of a Dask cluster: only their counts cross the wire.

Workers read the files, hold codes and are trusted as this process is; so is the wire, unless the
address begins with tls://. What they hold is made again from the files when a worker is lost, so
that each part is counted exactly once whatever happens to the workers.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.blocks import Blocks, StoredRecords, origins, recoded_columns
from dpsynth.curator.counting import Recoding
from dpsynth.curator.tally import BLOCK, Pass, Tally
from dpsynth.data.encoding import Codec, Codes
from dpsynth.data.files import is_parquet
from dpsynth.data.parts import read_part, row_groups
from dpsynth.data.schema import Schema
from dpsynth.errors import (
    ClusterError,
    FileError,
    InvalidValueError,
    MissingExtraError,
    NoRecordsError,
)

# Records of small row groups are counted together up to so many.
_PART_ROWS = 2**20
# Seconds that a scheduler and its first worker have to answer.
PATIENCE = 20.0


@final
@dataclass(frozen=True, kw_only=True)
class Part:
    """Some row groups of a Parquet file, as a worker is told of them.

    Args:
        path: the file, the same on every worker.
        groups: positions of its row groups.
        size, changed: bytes and time of change (ns), so that a part is not read again from a file
            that has changed meanwhile.
    """

    path: str
    groups: tuple[int, ...]
    size: int
    changed: int


@contextmanager
def clustered(paths: Sequence[Path], schema: Schema, address: str) -> Generator[StoredRecords]:
    """Have the workers of a Dask cluster validate the records of files and hold them for counting.

    Args:
        paths: Parquet files of one table, which every worker finds under these names.
        schema: of all of them.
        address: of the scheduler, as tcp://127.0.0.1:8786.

    Raises:
        MissingExtraError: Dask is not installed.
        ClusterError: no scheduler or no worker answers there, or parts are lost again and again.
        InvalidValueError: a file that is not Parquet.
        FileError: a file is missing, unreadable or not of its kind.
        UnknownNameError, DataError: records that do not fit the schema.
    """
    parts = parts_of(paths)
    with connected(address) as client:
        yield holding(client, parts, schema, address)


def holding(client: Any, parts: Sequence[Part], schema: Schema, address: str) -> StoredRecords:
    """Return the records of `parts` as the workers hold them; arguments: `ClusterBlocks`."""
    blocks = ClusterBlocks(client, parts, schema, address)
    if blocks.rows == 0:
        raise NoRecordsError()
    return StoredRecords(schema=schema, blocks=blocks)


def parts_of(paths: Sequence[Path]) -> list[Part]:
    """Return the tasks of workers; errors as of `clustered`."""
    return [part for path in paths for part in _parts(path.absolute())]


def _parts(path: Path) -> Iterator[Part]:
    if not is_parquet(path):
        raise InvalidValueError("a file for a cluster", str(path), "one that ends in '.parquet'")
    rows, groups = 0, list[int]()
    sizes = row_groups(path)  # says what is wrong with a file that is missing
    status = path.stat()
    for group, size in enumerate(sizes):
        groups.append(group)
        rows += size
        if rows >= _PART_ROWS or group == len(sizes) - 1:
            yield Part(
                path=str(path),
                groups=tuple(groups),
                size=status.st_size,
                changed=status.st_mtime_ns,
            )
            rows, groups = 0, []
    if not sizes:
        yield Part(path=str(path), groups=(), size=status.st_size, changed=status.st_mtime_ns)


@contextmanager
def connected(address: str, feature: str = "counting on a cluster") -> Generator[Any]:
    """Connect to a scheduler that has a worker; errors as of `clustered`.

    Args:
        address: of the scheduler.
        feature: what needs it, for the error where Dask is not installed.
    """
    try:
        distributed = import_module("distributed")
    except ImportError:
        raise MissingExtraError(feature, "dask") from None
    try:
        distributed.comm.get_address_host_port(address)
    except ValueError as error:
        raise ClusterError(address, f"this is no address of a scheduler ({error})") from error
    try:
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except OSError as error:
        raise ClusterError(address, "no scheduler answers there") from error
    try:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except OSError as error:
            raise ClusterError(address, "it has no worker") from error
        yield client
    finally:
        client.close()


@final
class ClusterBlocks(Blocks):
    """Codes that workers hold, a part each.

    Args:
        client: connected to the scheduler.
        parts: which the workers read.
        schema: under which they validate them.
        address: of the scheduler, for messages.
    """

    def __init__(self, client: Any, parts: Sequence[Part], schema: Schema, address: str) -> None:
        self._client, self._address = client, address
        # Not pure: another call must read the files again, not get what an earlier one left.
        self._held = client.map(encoded, parts, schema=schema, pure=False)
        self._rows = sum(self._each(rows_of))

    @property
    def where(self) -> str:
        return "on a cluster"

    @property
    def rows(self) -> int:
        return self._rows

    def tally(self, plan: Pass, recoding: Recoding) -> list[NDArray[np.int64]]:
        totals = [np.zeros([plan.domain.sizes[a] for a in c], dtype=np.int64) for c in plan.cliques]
        for counted in self._each(counts_of, plan=plan, recoding=recoding):
            for total, counts in zip(totals, counted, strict=True):
                np.add(total, counts, out=total)
        return totals

    def _each(self, function: Any, **arguments: Any) -> Iterator[Any]:
        """Yield what `function` returns of each part, in the order in which they are done."""
        done = self._client.map(function, self._held, pure=False, **arguments)
        return each(self._client, done, self._address)


def each(client: Any, futures: Sequence[Any], address: str) -> Iterator[Any]:
    """Yield the results of futures in the order in which they are done, and let each go.

    Raises:
        ClusterError: a part kills workers, or the scheduler is lost.
    """
    distributed = import_module("distributed")
    try:
        for future in distributed.as_completed(futures, loop=client.loop):
            yield future.result()
            future.release()
    except distributed.scheduler.KilledWorker as error:
        rule = "several workers in a row were lost over the same part"
        raise ClusterError(address, rule) from error
    except (distributed.CancelledError, distributed.comm.CommClosedError) as error:
        raise ClusterError(address, "the scheduler was lost") from error


def encoded(part: Part, schema: Schema) -> tuple[Schema, list[Codes]]:
    """Return the schema and the codes of a part, in blocks; on a worker.

    Raises:
        FileError: the file has changed since it was listed.
    """
    codec = Codec(schema=schema)
    tables = read_part(Path(part.path), schema, rows=BLOCK, groups=part.groups)
    with unchanged(part):
        return schema, [codec.encode(table) for table in tables]


@contextmanager
def unchanged(part: Part) -> Generator[None]:
    """Read a part, and refuse what was read where its file is not the one that was listed.

    Raises:
        FileError: it has changed.
    """
    yield
    status = Path(part.path).stat()
    if (status.st_size, status.st_mtime_ns) != (part.size, part.changed):
        raise FileError(part.path, "it changed while its records were counted")


def rows_of(held: tuple[Schema, list[Codes]]) -> int:
    """Return the number of records of a part; on a worker."""
    return sum(len(codes) for codes in held[1])


def counts_of(
    held: tuple[Schema, list[Codes]], *, plan: Pass, recoding: Recoding
) -> list[NDArray[np.int64]]:
    """Return the counts of each clique in a part; on a worker. Arguments: `Blocks.tally`."""
    schema, blocks = held
    position = {name: i for i, name in enumerate(schema.names)}
    needed, tally = origins(plan, recoding), Tally(plan)
    for codes in blocks:
        columns = {a: codes[:, position[a]] for a in needed}
        tally.add(recoded_columns(columns, plan, recoding))
    return tally.counts()
