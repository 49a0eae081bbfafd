"""The front door: a table and a budget in, a private model and its receipt out.

This is where a seed becomes random streams. A seed asks for research mode: every draw repeats, and
the receipt says that the result is not for release. Without one, noise comes from the system's
cryptographic source, and only post-processing uses an ordinary generator, seeded by the system.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.registry import GENERATORS

if TYPE_CHECKING:
    from pandas import DataFrame

    from dpsynth.curator.private_data import PrivateData
    from dpsynth.data.open_schema import OpenSchema
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table
    from dpsynth.generators.base import Generator, SyntheticModel
    from dpsynth.generators.limits import Limits
    from dpsynth.generators.progress import Watcher
    from dpsynth.preparation.prepare import Preparation
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

    def sample(
        self,
        n: int | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        balance: Sequence[str] = (),
        shares: Mapping[str, Mapping[Any, float]] | None = None,
        rng: np.random.Generator | None = None,
    ) -> "Table":
        """Return synthetic records; costs nothing, whatever is asked of them.

        Args:
            n: number of rows; by default the size that the model itself holds, which is a noisy
                count or a public number, of the records that satisfy `where`.
            where: column -> condition on its values, all of which each row satisfies: a category
                or number, a comparison like ">=65", a pair (low, high), None for a missing value,
                or a list of these (docs/sampling.md).
            balance: columns whose combinations of categories are to be equally frequent, as far as
                the model deems them possible.
            shares: column -> condition -> share of the rows that satisfy it.
            rng: source of randomness. By default the seed of research mode (the same call gives
                the same rows), and a fresh generator in release mode.

        Raises:
            InvalidValueError: n below 1, or a condition or share that cannot be.
            UnknownNameError: a column or category that the schema lacks.
            ContradictionError: no record of the model is as asked.
            RareConditionError: a model without conditional laws has too few such rows.
        """
        from dpsynth.sampling.selection import Selection
        from dpsynth.sampling.strata import Request

        request, rng = Request.of(where, balance, shares), self.stream(rng)
        if not request:
            return self.model.sample(self._rows(n), rng=rng)
        return Selection.of(self.model, request, rng=rng).sample(n, rng=rng)

    def sample_to(
        self,
        path: str | Path,
        n: int | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        balance: Sequence[str] = (),
        shares: Mapping[str, Mapping[Any, float]] | None = None,
        rng: np.random.Generator | None = None,
    ) -> int:
        """Write the records that `sample` returns to a file, and return their number.

        Rows are drawn and written in blocks, so that memory does not grow with their number.

        Args:
            path: where to write; a name that ends in .csv or .parquet.
            n, where, balance, shares, rng: as of `sample`; errors too.

        Raises:
            InvalidValueError: a name that ends otherwise.
            FileError: the file cannot be written; whatever was there is untouched.
        """
        from dpsynth.data.files import save_blocks
        from dpsynth.sampling.selection import Selection
        from dpsynth.sampling.strata import Request

        request, rng = Request.of(where, balance, shares), self.stream(rng)
        if not request:
            return save_blocks(self.model.sample_blocks(self._rows(n), rng=rng), path)
        selection = Selection.of(self.model, request, rng=rng)
        return save_blocks(selection.sample_blocks(n, rng=rng), path)

    def counterfactuals(
        self,
        rows: "DataFrame | Table | int | None" = None,
        *,
        do: Mapping[str, Any],
        graph: Mapping[str, Sequence[str]],
        rng: np.random.Generator | None = None,
    ) -> "Table":
        """Return copies of rows, as they would be had the columns of `do` had these values.

        Columns that the graph says follow from them are drawn again from the model's conditional
        laws, with the noise that each row's observed values tell of; the others are kept. Copies
        of synthetic rows cost nothing. Real rows are not protected: their copies keep of them what
        is not drawn again.

        Args:
            rows: records under the model's columns, or for how many of `sample` to return copies;
                by default for as many as the model holds.
            do: column -> its value in all rows, or a list with one value a row.
            graph: column -> the columns that cause it directly; public knowledge.
            rng: as of `sample`.

        Raises:
            InvalidValueError: a model without conditional laws, a graph with a cycle, or values
                for another number of rows.
            UnknownNameError: a column or category that the schema lacks.
            DataError: a value that its column forbids.

        Reference: Pearl 2009, section 7.1 (abduction, action, prediction).
        """
        from dpsynth.data.table import Table
        from dpsynth.sampling.causal_graph import CausalGraph
        from dpsynth.sampling.counterfactual import counterfactuals

        causes = CausalGraph.of(self.schema, graph)
        if rows is None or isinstance(rows, int):
            table = self.sample(rows, rng=rng)
        else:
            table = rows if isinstance(rows, Table) else Table.from_frame(self.schema, rows)
        # Not the stream of `sample`: the noise must not repeat what rows were drawn from.
        noise = rng or self.stream(None).spawn(1)[0]
        return counterfactuals(self.model, table, do=do, graph=causes, rng=noise)

    def _rows(self, n: int | None) -> int:
        return max(1, round(self.model.total)) if n is None else n

    def stream(self, rng: np.random.Generator | None = None) -> np.random.Generator:
        """Return what `sample` draws from when it is given `rng`."""
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
    schema: "Schema | OpenSchema | str | Path | None" = None,
    generator: "str | Generator" = "two_stage",
    epsilon: float,
    delta: float = 1e-9,
    seed: int | None = None,
    relation: str | Neighbouring = Neighbouring.ADD_REMOVE,
    accountant: str | None = None,
    limits: "Limits | None" = None,
    preparation: "Preparation | None" = None,
    out_of_core: bool | None = None,
    cluster: str | None = None,
    public: "DataFrame | Table | str | Path | None" = None,
    progress: "Watcher | None" = None,
    checkpoint: str | Path | None = None,
) -> Synthesis:
    """Fit `generator` to `data` under (epsilon, delta)-differential privacy.

    Args:
        data: the sensitive records: a DataFrame, a Table, or the path of a CSV or Parquet file, of
            a folder of such, or a pattern of names.
        schema: the public schema, or the path of its TOML; a Table brings its own. What an open
            schema does not say is bought first.
        generator: a name of the registry, or a generator with its hyperparameters.
        epsilon: finite, above 0.
        delta: in [0, 1); a generator with Gaussian noise needs it above 0.
        seed: asks for research mode, reproducible and not for release; None is release mode.
        relation: "add_remove" (the number of records is secret) or "replace" (it is public).
        accountant: "zcdp", "gdp", "pure", "pld", "bounded_range" or "rdp"; by default what suits
            the generator.
        limits: seconds and memory that the call may take, at the cost of utility; the result then
            depends on the machine. Generators that fit graphical models obey them.
        preparation: how much of the budget goes into what an open schema leaves open.
        out_of_core: whether files are counted without being held in memory; by default a folder, a
            pattern, and a file of more than 256 MiB. Results are the same; generators that train
            on records (`dpvae`) refuse.
        cluster: address of a Dask scheduler whose workers read Parquet files and count them.
        public: records of the same schema that you declare public, for a generator that uses such
            (`public_prior`): they cost nothing, are not protected, and the receipt names them.
        progress: told a few times a second how far training by DP-SGD has come (`Progress`).
        checkpoint: a file by which the same call goes on, after its process was killed, without
            spending twice; for training by DP-SGD (docs/keeping.md).

    Returns:
        The model, its receipt, and a way to sample.

    Raises:
        InvalidValueError: a parameter outside its range.
        UnknownNameError: no such generator or accountant.
        ContradictionError: constraints of the schema that leave no possible record.
        DataError: records that do not fit the schema.
        ClusterError: the cluster does not answer.
        RecordsElsewhereError: the generator needs records in memory, and they are not.
        MissingExtraError: what the generator requires is not installed.
        PrivacyError: the accountant cannot express what the generator needs.
        FileError: the checkpoint is damaged or of another run.

    Example:
        >>> model = dpsynth.synthesize(frame, schema="schema.toml", epsilon=1.0)  # doctest: +SKIP
        >>> model.sample(1000).frame  # doctest: +SKIP
    """
    called = monotonic()  # imports take most of a second
    from dpsynth.checkpoint import checkpoint_at
    from dpsynth.generators.base import check_usable
    from dpsynth.generators.limits import Limits, running, within
    from dpsynth.generators.progress import watched
    from dpsynth.opening import door
    from dpsynth.preparation.prepare import Preparation

    chosen = build_generator(generator)
    check_usable(chosen, public=public)
    budget = Budget(epsilon=epsilon, delta=delta, relation=parse_relation(relation))
    noise, rng, sampling_seed = random_streams(seed)
    ceilings, by = limits or Limits(), preparation or Preparation()
    kept = checkpoint_at(
        checkpoint, data, schema, chosen, accountant=accountant, seed=seed, by=by, limits=ceilings
    )
    opened = door(
        data,
        schema,
        budget,
        noise=noise,
        accountant=accountant,
        chosen=chosen,
        by=by,
        public=public,
        out_of_core=out_of_core,
        cluster=cluster,
        before=kept.keep_columns,
    )
    with watched(progress), kept, opened as private, running(ceilings, since=called):
        chosen = within(ceilings, chosen, private)
        return kept.fitted(private, chosen, sampling_seed, rng=rng)


def fitted_to(
    private: "PrivateData",
    generator: "Generator",
    sampling_seed: int | None,
    *,
    rng: np.random.Generator,
) -> Synthesis:
    """Return `generator` fitted to what is behind a door, with the receipt of that door.

    Args:
        private: the door.
        generator: the algorithm.
        sampling_seed: seed of `sample` in research mode; None in release mode.
        rng: source of what is post-processing.
    """
    from dpsynth.generators.marginal.workload import recording_skipped
    from dpsynth.sampling.interpolation import with_interpolated_values

    with recording_skipped() as skipped:
        model = generator.fit(private, rng=rng)
    return Synthesis(
        model=with_interpolated_values(model, rng=rng),
        receipt=private.receipt(),
        generator=generator,
        sampling_seed=sampling_seed,
        skipped=len(skipped),
    )


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
        InvalidValueError: a hyperparameter of the wrong type, or something else than a generator.
    """
    from dpsynth.generators.base import Generator
    from dpsynth.parameters import construct

    if not isinstance(generator, str):
        return generator
    found = GENERATORS.get(generator)
    if not (isinstance(found, type) and issubclass(found, Generator)):
        rule = "a subclass of dpsynth.generators.base.Generator, which fits under a budget"
        raise InvalidValueError("generator", generator, rule)
    return construct(found, parameters or {}, owner=generator)


def parse_relation(relation: str | Neighbouring) -> Neighbouring:
    """Return the neighbour relation called `relation`."""
    try:
        return Neighbouring(relation)
    except ValueError:
        raise InvalidValueError("relation", relation, "'add_remove' or 'replace'") from None
