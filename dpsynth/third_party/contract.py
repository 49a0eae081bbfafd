"""The contract: what a program of someone else's finds in its folder, and what it leaves there.

request.json             what is asked for: budget, seed, number of rows, columns with their domain
train.parquet            the records, as the data set has them
train_codes.parquet      the same records as codes, 0 to size - 1
response.json            written by the program: versions, and what it says that it spent
synthetic.parquet        written by the program: records, or else
synthetic_codes.parquet  codes
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import msgspec
import numpy as np

from dpsynth.atomic import write_atomically
from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn
from dpsynth.data.encoding import Codec
from dpsynth.data.files import load_file, read_frame, save_file
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DataError, ThirdPartyError, UnknownNameError, named

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
RECORDS, CODES = "synthetic.parquet", "synthetic_codes.parquet"
_LARGEST = 2**20  # bytes of an answer
_MOST, _LONGEST = 100, 80  # packages that it names, and characters of a name or a version


@final
@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked of a program.

    Args:
        mechanism: which of its mechanisms; empty where it has but one.
        parameters: hyperparameters, as a person wrote them.
        epsilon, delta, relation: the budget, of one record.
        rho: the largest rho whose zCDP implies (epsilon, delta), for programs that count in it.
        seed: 0 to 2**32 - 1.
        rows: how many records it may return at most.
    """

    mechanism: str
    parameters: dict[str, Any]
    epsilon: float
    delta: float
    relation: str
    rho: float | None
    seed: int
    rows: int


@final
class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a program says of its work; nobody checks it.

    Args:
        versions: package -> version, of what it ran.
        epsilon, delta: what it says that it spent.
        seconds: what it took by its own count, say without its imports.
    """

    versions: dict[str, str]
    epsilon: float | None = None
    delta: float | None = None
    seconds: float | None = None


def place_order(folder: Path, train: Table, order: Order) -> None:
    """Write what a program is asked for, and the records, to `folder`.

    Raises:
        FileError: the folder is not writable.
    """
    import pandas as pd

    codec = Codec(schema=train.schema)
    codes = pd.DataFrame(codec.encode(train).astype(np.int64), columns=list(train.schema.names))
    save_file(train, folder / "train.parquet")
    codes.to_parquet(folder / "train_codes.parquet", index=False)
    columns = [_described(column) for column in train.schema.columns]
    request = {"contract": VERSION, **asdict(order), "columns": columns}
    write_atomically(folder / "request.json", msgspec.json.encode(request))


def _described(column: Column) -> dict[str, Any]:
    of: dict[str, Any] = {"name": column.name, "size": column.size, "missing": column.missing}
    if isinstance(column, CategoricalColumn):
        return of | {"kind": "categorical", "categories": list(column.categories)}
    kind = "float" if isinstance(column, FloatColumn) else "integer"
    return of | {"kind": kind, "lower": column.lower, "upper": column.upper}


def take_delivery(
    folder: Path, schema: Schema, *, name: str, rows: int, rng: np.random.Generator
) -> tuple[Table, Answer]:
    """Return the records that a program left in `folder`, and what it says of them.

    Args:
        folder: where it ran.
        schema: what its records must keep.
        name: what messages call it.
        rows: how many records it may return at most.
        rng: source of values within bins, where it returned codes.

    Raises:
        ThirdPartyError: an answer or records that are missing, unreadable, or not as agreed.
        FileError, UnknownNameError, DataError: records that do not fit the schema.
    """
    answer = _answer(folder / "response.json", name)
    found = [file for file in (RECORDS, CODES) if (folder / file).is_file()]
    if len(found) != 1:
        left = "both" if found else "neither"
        raise ThirdPartyError(name, f"it left {left} of {RECORDS} and {CODES}, where one is asked")
    if found == [RECORDS]:
        table = load_file(folder / RECORDS, schema)
    else:
        codes = _checked_codes(read_frame(folder / CODES), schema)
        table = Codec(schema=schema).decode(codes, rng=rng)
    if len(table) > rows:
        raise ThirdPartyError(name, f"it returned {len(table)} records, where {rows} are the most")
    return table, answer


def _answer(file: Path, name: str) -> Answer:
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ThirdPartyError(name, f"its {file.name} has more than {_LARGEST} bytes")
        answer = msgspec.json.decode(content, type=Answer)
    except OSError:
        raise ThirdPartyError(name, f"it left no {file.name} that can be read") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        why = named(str(error))
        raise ThirdPartyError(name, f"its {file.name} is not as agreed ({why})") from None
    texts = [*answer.versions, *answer.versions.values()]
    fit = all(text.isprintable() and len(text) <= _LONGEST for text in texts)
    if not (fit and 0 < len(answer.versions) <= _MOST):
        rule = f"1 to {_MOST} versions of at most {_LONGEST} plain characters"
        raise ThirdPartyError(name, f"its {file.name} must name {rule}")
    return answer


def _checked_codes(frame: "pd.DataFrame", schema: Schema) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return a frame of codes as an array in the schema's order.

    Raises:
        UnknownNameError, DataError: other columns, no rows, or what is no code of its column.
    """
    import pandas as pd

    for column in frame.columns:
        if column not in schema.names:
            raise UnknownNameError("column of codes", str(column), schema.names)
    lacking = [column for column in schema.names if column not in frame.columns]
    if lacking:
        raise DataError(lacking[0], "no codes", "every column of the request needs them")
    if len(frame) == 0:
        raise DataError(None, "no rows", "at least one is needed")
    codes = np.empty((len(frame), len(schema.columns)), dtype=np.int64, order="F")
    for i, column in enumerate(schema.columns):
        values = frame[column.name]
        numeric = pd.api.types.is_numeric_dtype(values.dtype) and values.dtype.kind in "iuf"
        rule = f"its codes are the integers 0 to {column.size - 1}"
        if not numeric:
            raise DataError(column.name, f"values of type {values.dtype}", rule)
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = ~((numbers >= 0) & (numbers < column.size) & (numbers == np.floor(numbers)))
        if wrong.any():
            raise DataError(column.name, float(numbers[wrong][0]), rule)
        codes[:, i] = numbers.astype(np.int64)
    return codes
