"""What the verb sample does with --copies: several tables, for an analyst who wants intervals."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpsynth.cli.output import check_outputs, claim, warning

if TYPE_CHECKING:
    import numpy as np

    from dpsynth.synthesis import Synthesis


def write_copies(
    synthesis: "Synthesis",
    number: int,
    rows: int | None,
    out: str,
    *,
    asked: Mapping[str, tuple[str, ...]],
    rng: "np.random.Generator | None",
) -> None:
    """Write copies of one fit beside one another: name-1.csv is of the fit itself.

    Args:
        synthesis: the saved model.
        number: of tables.
        rows: of each.
        out: the name, to which a number is added.
        asked: what is asked of rows, which copies cannot have.
        rng: source of everything; None: the model's own.

    Raises:
        InvalidValueError: something is asked of rows, or as of `copies`.
        FileError: a place that is not writable.
    """
    from dpsynth.data.files import save_file
    from dpsynth.errors import InvalidValueError
    from dpsynth.inference.copies import copies

    for option, texts in asked.items():
        if texts:
            raise InvalidValueError(option, ", ".join(texts), "left out with --copies")
    tables = copies(synthesis.model, number, rows=rows, rng=synthesis.stream(rng))
    width, path = len(str(number)), Path(out)
    names = [str(path.with_stem(f"{path.stem}-{i:0{width}d}")) for i in range(1, number + 1)]
    check_outputs(*names)
    for name, table in zip(names, tables, strict=True):
        save_file(table, name)
    told = f"{claim(synthesis.receipt)}, all of them together.{warning(synthesis.receipt)}"
    click.echo(f"wrote {number} tables, {names[0]} to {Path(names[-1]).name}: {told}", err=True)
