"""The front door of linked tables: units and events in, a private model of both out."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import IntegerColumn
from dpsynth.data.linked_schema import LinkedSchema
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.generators.marginal.pairs_first import PairsFirst
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.registry import GENERATORS
from dpsynth.synthesis import (
    Synthesis,
    build_generator,
    fitted_to,
    parse_relation,
    random_streams,
)

if TYPE_CHECKING:
    from pandas import DataFrame

    from dpsynth.data.linked_tables import LinkedTables
    from dpsynth.generators.base import Generator
    from dpsynth.privacy.receipt import Receipt

UNITS_SHARE = 0.3
"""Part of the budget that buys the units and the numbers of their events."""

NUMBERS_SHARE = 1 / 3
"""Part of that which buys the numbers alone."""


@final
@dataclass(frozen=True, kw_only=True)
class LinkedSample:
    """Synthetic units and events with fresh identifiers: 1, 2, ... in the order of units.

    Args:
        units: one row a unit, the identifier first.
        events: the identifier, always one of `units`, and the columns of events; by unit, and in
            order of time within it.
        schema: the public description.
    """

    units: "DataFrame"
    events: "DataFrame"
    schema: LinkedSchema

    def save(self, *, events: str | Path, units: str | Path | None = None) -> None:
        """Write the events, and the units where a place is given, to CSV or Parquet files.

        Raises:
            InvalidValueError: a name that ends otherwise.
            FileError: a file cannot be written; whatever was there is untouched.
            DataError: not one unit has an event.
        """
        from dpsynth.data.files import save_file
        from dpsynth.data.table import Table

        key = IntegerColumn(name=self.schema.key, lower=1, upper=max(1, len(self.units)))
        wanted = (
            (events, self.events, self.schema.events.columns),
            (units, self.units, self.schema.own),
        )
        for path, frame, columns in wanted:
            if path is not None:
                save_file(Table(schema=Schema(columns=(key, *columns)), frame=frame), path)


@final
@dataclass(frozen=True, kw_only=True)
class LinkedSynthesis:
    """A fitted model of units and events with the receipt of what it cost.

    Args:
        schema: the public description.
        units: the model of units, their numbers of events and the first of these, and its part of
            the receipt.
        events: the model of what follows what, and its part of the receipt.
        numbers: the share of units with each number of events, from the least on.
        receipt: the whole: what was allotted to either.
    """

    schema: LinkedSchema
    units: Synthesis
    events: Synthesis
    numbers: NDArray[np.float64]
    receipt: "Receipt"

    def sample(
        self, n: int | None = None, *, rng: np.random.Generator | None = None
    ) -> LinkedSample:
        """Return synthetic units and their events; costs nothing.

        Args:
            n: number of units; by default what the model of units holds.
            rng: source of randomness. By default the seed of research mode (the same call gives
                the same rows), and a fresh generator in release mode.

        Raises:
            InvalidValueError: n below 1.
        """
        from dpsynth.linked.events import EventSampler
        from dpsynth.linked.numbers import renumbered

        source = self.units.stream(rng)
        drawn = self.units.sample(n, rng=source)
        units = renumbered(drawn, self.schema.number, self.numbers, rng=source)
        assert isinstance(self.events.model, GraphicalSyntheticModel)  # checked before the fit
        events = EventSampler(self.schema, self.events.model).draw(units, rng=source)
        events[self.schema.key] += 1
        own = units.frame[[column.name for column in self.schema.own]]
        own.insert(0, self.schema.key, np.arange(1, len(units) + 1))
        return LinkedSample(units=own, events=events, schema=self.schema)

    def save(self, path: str | Path) -> None:
        """Write the model to `path`: a zip of the two models, the schemas and the receipt.

        Raises:
            FileError: the place is not writable; whatever was there is untouched.
        """
        from dpsynth.linked.saved import write

        write(self, path)

    @classmethod
    def load(cls, path: str | Path) -> "LinkedSynthesis":
        """Return the model that `save` wrote to `path`; its samples are identical.

        Raises:
            FileError: no such file, or one that is damaged or not a saved model.
            UnknownNameError: a generator that is not in the registry.
        """
        from dpsynth.linked.saved import read

        return read(path)


def synthesize_linked(
    events: "DataFrame | str | Path",
    units: "DataFrame | str | Path | None" = None,
    *,
    schema: LinkedSchema,
    epsilon: float,
    delta: float = 1e-9,
    generator: "str | Generator" = "pairs_first",
    units_generator: "str | Generator" = "two_stage",
    units_share: float = UNITS_SHARE,
    seed: int | None = None,
    relation: str | Neighbouring = Neighbouring.ADD_REMOVE,
    accountant: str = "gdp",
) -> LinkedSynthesis:
    """Fit a model of units and their events under (epsilon, delta)-differential privacy of a unit.

    Args:
        events: the events: a DataFrame, or the path of a CSV or Parquet file, with a column that
            identifies the unit and the schema's columns.
        units: the units, likewise, one row each; None where the schema has no columns of units.
        schema: the public schema of both.
        epsilon: finite, above 0; for both tables together.
        delta: in (0, 1), or 0 under "pure".
        generator: of the events, whose model must be graphical: most of the registry. The pairs of
            "pairs_first", unless they are given, are each column with what it was before.
        units_generator: of the units, any but one of DP-SGD.
        units_share: part of the budget for the units and the numbers of their events.
        seed: asks for research mode, reproducible and not for release; None is release mode.
        relation: "add_remove" (the number of units is secret) or "replace" (it is public).
        accountant: "gdp", "zcdp" or "pure".

    Returns:
        The model, its receipt, and a way to sample.

    Raises:
        InvalidValueError: a parameter outside its range, or a generator that cannot serve.
        UnknownNameError: no such generator, accountant or column.
        DataError: records that do not fit the schema, or events of no unit.
        PrivacyError: the accountant cannot express what a generator needs.
    """
    from dpsynth.curator.linked import LinkedPrivateData, linked_accountant
    from dpsynth.linked.numbers import bought_numbers
    from dpsynth.linked.refusals import check_generator

    chosen, of_units = build_generator(generator), build_generator(units_generator)
    _check_graphical(chosen)
    if isinstance(chosen, PairsFirst) and not chosen.pairs:
        chosen = replace(chosen, pairs=schema.lags, given=schema.given)
    budget = Budget(
        epsilon=epsilon,
        delta=delta,
        relation=parse_relation(relation),
        unit=schema.key,
        max_rows_per_unit=schema.events.max_rows_per_unit,
    )
    linked_accountant(accountant, budget)  # refuses what no ledger could hold, before reading data
    for one, table in ((of_units, schema.starts), (chosen, schema.transitions)):
        check_generator(one, table, budget, accountant)
    noise, rng, sampling_seed = random_streams(seed)
    private = LinkedPrivateData(
        read_linked(events, units, schema=schema),
        budget,
        noise=noise,
        units_share=units_share,
        accountant=accountant,
    )
    numbers = bought_numbers(private.units, schema.number, share=NUMBERS_SHARE)
    return LinkedSynthesis(
        schema=schema,
        numbers=numbers,
        units=fitted_to(private.units, of_units, sampling_seed, rng=rng),
        events=fitted_to(private.events, chosen, sampling_seed, rng=rng),
        receipt=private.receipt(),
    )


def read_linked(
    events: "DataFrame | str | Path",
    units: "DataFrame | str | Path | None" = None,
    *,
    schema: LinkedSchema,
) -> "LinkedTables":
    """Return frames or files as validated records; arguments and errors of `synthesize_linked`."""
    from dpsynth.data.files import load_frame
    from dpsynth.data.linked_tables import LinkedTables

    if isinstance(events, str | Path):
        events = load_frame(events, schema.events.columns, schema.events.unit)
    if isinstance(units, str | Path):
        units = load_frame(units, (schema.units or schema.events).columns, schema.key)
    return LinkedTables(schema=schema, events=events, units=units)


def _check_graphical(generator: "Generator") -> None:
    if not issubclass(generator.model, GraphicalSyntheticModel):
        known = [n for n in GENERATORS if GENERATORS.get(n).model is GraphicalSyntheticModel]
        rule = f"one whose model can be conditioned on the past: {', '.join(known)}"
        raise InvalidValueError("generator of the events", generator.name, rule)
