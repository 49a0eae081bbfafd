"""What a verb writes: tables on the screen, JSON in files."""

import json
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Any

import click

from dpsynth.atomic import write_atomically
from dpsynth.errors import FileError


def print_table(heads: Sequence[str], lines: Sequence[Sequence[Any]]) -> None:
    """Print aligned columns: text to the left, numbers to the right."""
    cells = [[show(value) for value in line] for line in lines]
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


def show(value: Any) -> str:
    """Return `value` as a person reads it."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def check_records_path(path: str) -> None:
    """Raise FileError unless `path` ends in .csv or .parquet, before anything is spent."""
    if Path(path).suffix.lower() not in {".csv", ".parquet"}:
        raise FileError(path, "the name of a file of records must end in .csv or .parquet")


def write_json(value: Any, path: str) -> None:
    """Write `value` to `path`.

    Raises:
        FileError: a place that is not writable.
    """
    write_atomically(path, json.dumps(value, indent=1).encode() + b"\n")
