"""Records that somebody declared public: counted for nothing, and named in the receipt."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.counting import CellCounter
from dpsynth.data.domain import Clique
from dpsynth.data.encoding import Codec
from dpsynth.errors import FileError

if TYPE_CHECKING:
    from dpsynth.data.table import Table


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class PublicRecords:
    """A public table under the schema of the private one.

    Nothing of it is protected, and nobody checks that it is public: that is a declaration, which
    the receipt repeats among the unprotected facts. A person who is in both tables is as
    unprotected as the public one leaves them.

    Args:
        name: a file's name, or what it was given as.
        sha256: of the file, or of the records as CSV text.
        counter: of its records.
    """

    name: str
    sha256: str
    counter: CellCounter

    @classmethod
    def of(cls, table: "Table", *, path: str | Path | None = None) -> Self:
        """Return `table`, which was read from `path` or given in memory.

        Raises:
            FileError: the file cannot be read again.
        """
        codec = Codec(schema=table.schema)
        return cls(
            name="a table in memory" if path is None else Path(path).name,
            sha256=_digest(table, path),
            counter=CellCounter(codec.encode(table), codec.domain),
        )

    @property
    def rows(self) -> int:
        return self.counter.rows

    @property
    def statement(self) -> str:
        """What the receipt says of it."""
        return f"public table {self.name!r}, sha256 {self.sha256}"

    def counts(self, clique: Clique) -> NDArray[np.float64]:
        """Return the number of its records in each cell, axes in the order of `clique`."""
        return self.counter.count_anew(clique).astype(np.float64)


def _digest(table: "Table", path: str | Path | None) -> str:
    if path is None:
        return sha256(table.frame.to_csv(index=False).encode()).hexdigest()
    try:
        return sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
