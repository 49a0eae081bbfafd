"""The front door: a table and a budget in, a private model and its receipt out.

This is where a seed becomes random streams. A seed asks for research mode: every draw repeats, and
the receipt says that the result is not for release. Without one, noise comes from the system's
cryptographic source, and only post-processing uses an ordinary generator, seeded by the system.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dpsynth.errors import DpsynthError, InvalidValueError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.registry import GENERATORS

if TYPE_CHECKING:
    from pandas import DataFrame

    from dpsynth.curator.public_records import PublicRecords
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table
    from dpsynth.generators.base import Generator, SyntheticModel
    from dpsynth.generators.limits import Limits
    from dpsynth.privacy.noise import NoiseSource
    from dpsynth.privacy.receipt import Receipt


@final
@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """A fitted model with the receipt of what it cost; it holds private outputs only.

    Args:
        model: the fitted model.
        receipt: every unit of privacy that was spent on it.
        generator: the algorithm, with its hyperparameters.
        sampling_seed: seed of `sample` in research mode; None in release mode.
        skipped: how many sets of attributes had too many cells to be considered.
    """

    model: "SyntheticModel"
    receipt: "Receipt"
    generator: "Generator"
    sampling_seed: int | None
    skipped: int = 0

    @property
    def schema(self) -> "Schema":
        return self.model.schema

    def sample(self, n: int | None = None, *, rng: np.random.Generator | None = None) -> "Table":
        """Return synthetic records; costs nothing.

        Args:
            n: number of rows; by default the size that the model itself holds, which is a noisy
                count or a public number.
            rng: source of randomness. By default the seed of research mode (the same call gives
                the same rows), and a fresh generator in release mode.

        Raises:
            InvalidValueError: n below 1.
        """
        return self.model.sample(self._rows(n), rng=self._rng(rng))

    def sample_to(
        self, path: str | Path, n: int | None = None, *, rng: np.random.Generator | None = None
    ) -> int:
        """Write the records that `sample` returns to a file, and return their number.

        Rows are drawn and written in blocks, so that memory does not grow with their number.

        Args:
            path: where to write; a name that ends in .csv or .parquet.
            n, rng: as of `sample`.

        Raises:
            InvalidValueError: n below 1, or a name that ends otherwise.
            FileError: the file cannot be written; whatever was there is untouched.
        """
        from dpsynth.data.files import save_blocks

        return save_blocks(self.model.sample_blocks(self._rows(n), rng=self._rng(rng)), path)

    def _rows(self, n: int | None) -> int:
        return max(1, round(self.model.total)) if n is None else n

    def _rng(self, rng: np.random.Generator | None) -> np.random.Generator:
        return rng or np.random.default_rng(self.sampling_seed)

    def save(self, path: str | Path) -> None:
        """Write the model to `path`: a zip of JSON, TOML and plain arrays, no pickle.

        Raises:
            FileError: the place is not writable; whatever was there is untouched.
        """
        from dpsynth.saved import write

        write(self, path)

    @classmethod
    def load(cls, path: str | Path, *, generator: "type[Generator] | None" = None) -> "Synthesis":
        """Return the model that `save` wrote to `path`; its samples are identical.

        Args:
            path: the file.
            generator: the generator's class, for one that is not in the registry. A file never
                names code to import.

        Raises:
            FileError: no such file, or one that is damaged or not a saved model.
            UnknownNameError: its generator is not in the registry.
        """
        from dpsynth.saved import read

        return read(path, generator=generator)


def load(path: str | Path) -> Synthesis:
    """Return the model saved at `path`; see `Synthesis.load`."""
    return Synthesis.load(path)


def synthesize(
    data: "DataFrame | Table | str | Path",
    *,
    schema: "Schema | str | Path | None" = None,
    generator: "str | Generator" = "two_stage",
    epsilon: float,
    delta: float = 1e-9,
    seed: int | None = None,
    relation: str | Neighbouring = Neighbouring.ADD_REMOVE,
    accountant: str | None = None,
    limits: "Limits | None" = None,
    public: "DataFrame | Table | str | Path | None" = None,
) -> Synthesis:
    """Fit `generator` to `data` under (epsilon, delta)-differential privacy.

    Args:
        data: the sensitive records: a DataFrame, a Table, or the path of a CSV or Parquet file.
        schema: the public schema, or the path of its TOML; a Table brings its own.
        generator: a name of the registry, or a generator with its hyperparameters.
        epsilon: finite, above 0.
        delta: in [0, 1); a generator with Gaussian noise needs it above 0.
        seed: asks for research mode, reproducible and not for release; None is release mode.
        relation: "add_remove" (the number of records is secret) or "replace" (it is public).
        accountant: "zcdp", "gdp", "pure", "pld", "bounded_range" or "rdp"; by default what suits
            the generator.
        limits: seconds and memory that the call may take, at the cost of utility; the result then
            depends on the machine. Generators that fit graphical models obey them.
        public: records of the same schema that you declare public, for a generator that uses such
            (`public_prior`): they cost nothing, are not protected, and the receipt names them.

    Returns:
        The model, its receipt, and a way to sample.

    Raises:
        InvalidValueError: a parameter outside its range.
        UnknownNameError: no such generator or accountant.
        DataError: records that do not fit the schema.
        PrivacyError: the accountant cannot express what the generator needs.

    Example:
        >>> model = dpsynth.synthesize(frame, schema="schema.toml", epsilon=1.0)  # doctest: +SKIP
        >>> model.sample(1000).frame  # doctest: +SKIP
    """
    from dpsynth.curator.private_data import PrivateData
    from dpsynth.generators.limits import Limits, resized, running
    from dpsynth.generators.marginal.workload import recording_skipped
    from dpsynth.privacy.accountant import make_accountant

    chosen = build_generator(generator)
    if public is not None and not chosen.uses_public:
        rule = f"left out for {chosen.name!r}, which has no use for one; 'public_prior' has"
        raise InvalidValueError("public", "a table", rule)
    budget = Budget(epsilon=epsilon, delta=delta, relation=parse_relation(relation))
    name = accountant or chosen.accountant
    make_accountant(name, budget)  # refuses what no ledger could hold, before the data are read
    noise, rng, sampling_seed = random_streams(seed)
    ceilings = limits or Limits()
    with running(ceilings), recording_skipped() as skipped:
        table = read_table(data, schema=schema)
        private = PrivateData(
            table,
            with_unit(budget, table.schema),
            noise=noise,
            accountant=name,
            public=None if public is None else read_public(public, table.schema),
        )
        del table  # encoded by now, in a fraction of the memory
        chosen = resized(chosen, private.domain, ceilings)
        model = chosen.fit(private, rng=rng)
    return Synthesis(
        model=model,
        receipt=private.receipt(),
        generator=chosen,
        sampling_seed=sampling_seed,
        skipped=len(skipped),
    )


def mechanism(
    generator: "Generator",
    *,
    epsilon: float,
    delta: float,
    relation: str | Neighbouring = Neighbouring.ADD_REMOVE,
    accountant: str | None = None,
) -> "Callable[..., Table]":
    """Return the way from a table to a release: a fit at this budget, and a sample of its size.

    The function takes a Table and `rng`, which seeds research mode: it is for attacks that run a
    mechanism again, never for a release. Arguments and errors as of `synthesize`.
    """

    def release(table: "Table", *, rng: np.random.Generator) -> "Table":
        return synthesize(
            table,
            generator=generator,
            epsilon=epsilon,
            delta=delta,
            seed=int(rng.integers(2**62)),
            relation=relation,
            accountant=accountant,
        ).sample()

    return release


def random_streams(seed: int | None) -> "tuple[NoiseSource, np.random.Generator, int | None]":
    """Return the noise, the generator for post-processing, and the seed for sampling.

    The three streams are independent children of the seed, and the last is a number from which
    the seed of the noise cannot be read off.
    """
    from dpsynth.privacy.noise import ReleaseNoise, ResearchNoise

    if seed is None:
        return ReleaseNoise(), np.random.default_rng(), None
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InvalidValueError("seed", seed, "an integer of at least 0, or left out")
    noise, fit, sample = np.random.SeedSequence(seed).spawn(3)
    sampling_seed = int.from_bytes(sample.generate_state(4, np.uint32).tobytes(), "little")
    research = ResearchNoise(rng=np.random.default_rng(noise))
    return research, np.random.default_rng(fit), sampling_seed


def build_generator(
    generator: "str | Generator", parameters: dict[str, Any] | None = None
) -> "Generator":
    """Return the generator called `generator` with these hyperparameters.

    Raises:
        UnknownNameError: no such generator, or no such hyperparameter; close matches are named.
        InvalidValueError: a hyperparameter of the wrong type.
    """
    from dpsynth.parameters import construct

    if not isinstance(generator, str):
        return generator
    return construct(GENERATORS.get(generator), parameters or {}, owner=generator)


def read_table(
    data: "DataFrame | Table | str | Path", *, schema: "Schema | str | Path | None"
) -> "Table":
    """Return `data` as validated records under `schema`.

    Raises:
        InvalidValueError: no schema where one is needed, or one where the table has its own.
        FileError: a missing file, or one that is neither CSV nor Parquet.
        DataError: records that do not fit the schema.
    """
    from dpsynth.data.files import load_file
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table

    if isinstance(data, Table):
        if schema is not None:
            raise InvalidValueError("schema", schema, "left out for a Table, which has its own")
        return data
    if schema is None:
        raise InvalidValueError("schema", None, "a Schema or the path of its TOML file")
    rules = schema if isinstance(schema, Schema) else Schema.load(schema)
    if isinstance(data, str | Path):
        return load_file(data, rules)
    return Table.from_frame(rules, data)


def read_public(data: "DataFrame | Table | str | Path", schema: "Schema") -> "PublicRecords":
    """Return records that were declared public, under the schema of the private ones.

    Raises:
        FileError, DataError, UnknownNameError: as of `read_table`.
    """
    from dpsynth.curator.public_records import PublicRecords
    from dpsynth.data.table import Table

    # How many private records there are, where it is declared, says nothing of the public ones.
    rules = replace(schema, public_rows=None)
    try:
        table = read_table(data.frame if isinstance(data, Table) else data, schema=rules)
    except DpsynthError as error:
        error.add_note("of the public table")
        raise
    return PublicRecords.of(table, path=data if isinstance(data, str | Path) else None)


def parse_relation(relation: str | Neighbouring) -> Neighbouring:
    """Return the neighbour relation called `relation`."""
    try:
        return Neighbouring(relation)
    except ValueError:
        raise InvalidValueError("relation", relation, "'add_remove' or 'replace'") from None


def with_unit(budget: Budget, schema: "Schema") -> Budget:
    """Return `budget` for the schema's unit of privacy."""
    return replace(budget, unit=schema.unit, max_rows_per_unit=schema.max_rows_per_unit)
