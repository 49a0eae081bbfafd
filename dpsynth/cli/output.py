"""What a verb writes: tables on the screen, JSON in files."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from dpsynth.atomic import check_writable, write_atomically
from dpsynth.errors import FileError, NoModelError, TrainingError

if TYPE_CHECKING:
    from dpsynth.privacy.receipt import Receipt

UNPROTECTED = "These numbers read real records; no privacy guarantee covers them."


def print_table(
    heads: Sequence[str], lines: Sequence[Sequence[Any]], *, width: int | None = None
) -> None:
    """Print aligned columns: text to the left, numbers to the right.

    Args:
        heads: of the columns.
        lines: values, as many as heads each.
        width: most characters of a number, where that leaves it a digit.
    """
    cells = [[show(value, width=width) for value in line] for line in lines]
    widths = [max(len(row[i]) for row in [list(heads), *cells]) for i in range(len(heads))]
    right = [
        all(isinstance(line[i], float | int | None) for line in lines) for i in range(len(heads))
    ]
    for row in [list(heads), *cells]:
        padded = (
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(row, widths, right, strict=True)
        )
        click.echo("  ".join(padded).rstrip())


def show(value: Any, *, width: int | None = None) -> str:
    """Return `value` as a person reads it: numbers with four digits, or as many as fit `width`."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    written = [f"{value:.{digits}g}" for digits in (4, 3, 2, 1)]
    return next((text for text in written if width is None or len(text) <= width), written[-1])


def check_outputs(records: str, *others: str | None) -> None:
    """Refuse places that could not be written to, before anything is spent.

    Args:
        records: where synthetic records go: .csv or .parquet.
        others: further files; None for one that is not asked for.

    Raises:
        FileError: another ending, or a place that is not writable.
    """
    if Path(records).suffix.lower() not in {".csv", ".parquet"}:
        raise FileError(records, "the name of a file of records must end in .csv or .parquet")
    for path in (records, *others):
        if path is not None:
            check_writable(path)


def claim(receipt: "Receipt") -> str:
    """Return the guarantee that rows of a model have, as the end of a sentence without its stop."""
    budget = receipt.budget
    return f"{receipt.promise}-differentially private, {budget.relation}, per {budget.unit}"


def warning(receipt: "Receipt") -> str:
    """Return a sentence that follows others where rows must not be released, else nothing."""
    return " Research mode: NOT for release." if receipt.not_for_release else ""


@contextmanager
def receipt_of_failure(path: str | None) -> Iterator[None]:
    """Write the receipt of what is tried inside, where it fails after it was paid for.

    Args:
        path: where receipts go; None: the sentence tells what was spent, and no file does.
    """
    try:
        yield
    except (TrainingError, NoModelError) as error:
        if path is not None:
            write_receipt(cast("Receipt", error.receipt), path)
            error.add_note(f"the receipt is {path}")
        raise


def write_receipt(receipt: "Receipt", path: str) -> None:
    """Write a receipt to `path`.

    Raises:
        FileError: a place that is not writable.
    """
    write_atomically(path, receipt.to_json().encode())


def write_json(value: Any, path: str) -> None:
    """Write `value` to `path`.

    Raises:
        FileError: a place that is not writable.
    """
    write_atomically(path, json.dumps(value, indent=1).encode() + b"\n")
