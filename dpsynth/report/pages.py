"""HTML pages from templates, and the page that says which cells stand behind a number."""

from collections.abc import Sequence
from hashlib import sha256
from os.path import relpath
from pathlib import Path
from typing import Any, final

from dpsynth.harness.store import Record


def render(template: str, **values: Any) -> str:
    """Return `template`, one of this package's, filled with `values`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("dpsynth.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def title(record: Record) -> str:
    """Return what a person calls a cell."""
    settings = record.settings
    dataset = settings.get("dataset")
    parts = [
        dataset["name"] if dataset else None,
        settings["generator"]["label"],
        f"epsilon {settings['epsilon']:g}",
        f"seed {settings['seed']}" if "seed" in settings else None,
    ]
    return ", ".join(part for part in parts if part)


@final
class Sources:
    """The cells behind the numbers of a report, each with an address on one page.

    Args:
        store: the folder that the cells are in.
        out: the folder of the report.
        name: of the page in it.
    """

    def __init__(self, *, store: Path, out: Path, name: str = "cells.html") -> None:
        self.name = name
        self._folder = relpath(store / "cells", out)
        self._cells: dict[str, tuple[str, ...]] = {}

    def link(self, cells: Sequence[str]) -> str:
        """Return the address of `cells`; the same for the same cells, in any report."""
        name = sha256(" ".join(sorted(cells)).encode()).hexdigest()[:12]
        self._cells[name] = tuple(cells)
        return f"{self.name}#{name}"

    def page(self, records: Sequence[Record]) -> str:
        """Return the page that these addresses are on.

        Args:
            records: of the store.
        """
        titles = {record.cell: title(record) for record in records}
        groups = [
            (name, [(cell, titles.get(cell, "")) for cell in cells])
            for name, cells in self._cells.items()
        ]
        return render("cells.html.j2", groups=groups, folder=self._folder)
