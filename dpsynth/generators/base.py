"""The two contracts of a generator: fit through the one door, then sample for free."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique
from dpsynth.data.encoding import Codec, Codes
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError, MissingExtraError, UnsupportedEventError
from dpsynth.pgm.blocks import BLOCK_ROWS
from dpsynth.pgm.evidence import Evidence
from dpsynth.pgm.repair import Repair
from dpsynth.pgm.support import essential
from dpsynth.privacy.accountant import ADAPTIVE

if TYPE_CHECKING:
    from dpsynth.data.table import Table


class SyntheticModel(ABC):
    """What a fit releases. It holds private outputs only: saving or sampling it costs nothing.

    Subclasses are final frozen dataclasses with the fields `schema` and `total`, both public:
    `total` is the size to sample when the user names none (a noisy count, or a public number).
    """

    schema: Schema
    total: float

    @abstractmethod
    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        """Return `n` rows of integer codes, one column an attribute of the schema's domain."""

    @abstractmethod
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return everything that `from_arrays` needs besides the schema; no object arrays."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild the model from what `arrays` returned; samples are identical."""

    @final
    def sample(self, n: int, *, rng: np.random.Generator) -> "Table":
        """Return `n` synthetic records, decoded under the schema; all keep its constraints.

        Args:
            n: number of rows, at least 1.
            rng: source of randomness; privacy does not depend on it.

        Raises:
            InvalidValueError: n below 1.
        """
        return Codec(schema=self.schema).decode_blocks(self.codes_in_blocks(n, rng=rng), rng=rng)

    @final
    def sample_blocks(self, n: int, *, rng: np.random.Generator) -> "Iterator[Table]":
        """Yield the records that `sample` returns, in tables of bounded size, in memory one by one.

        Args:
            n: number of rows in all, at least 1.
            rng: source of randomness; do not use it elsewhere until the last table is there.

        Raises:
            InvalidValueError: n below 1.
        """
        codec, blocks = Codec(schema=self.schema), self.codes_in_blocks(n, rng=rng)
        return (codec.decode(codes, rng=rng) for codes in blocks)

    @final
    def codes_in_blocks(self, n: int, *, rng: np.random.Generator) -> Iterator[Codes]:
        """Yield what `sample_blocks` decodes: `n` rows of codes in blocks of bounded size.

        Raises:
            InvalidValueError: n below 1.
        """
        if n < 1:
            raise InvalidValueError("n", n, "at least 1")
        if isinstance(self, BlockSampler):
            blocks = self.code_blocks(n, rng=rng)
        else:
            sizes = (min(BLOCK_ROWS, n - start) for start in range(0, n, BLOCK_ROWS))
            blocks = (self.sample_codes(size, rng=rng) for size in sizes)
        if not self.schema.constraints:
            return blocks
        # Whatever the model is, no row leaves it that a constraint forbids.
        repair = _repair(self.schema)
        return (repair.repaired(codes, rng=rng) for codes in blocks)


@lru_cache(8)  # a schema is sampled many times over
def _repair(schema: Schema) -> Repair:
    return Repair.of(schema.domain, essential(schema.domain, schema.rules.impossible))


class BlockSampler(ABC):
    """What a model also is whose blocks of rows add up as one large sample does.

    Blocks of any other model are independent samples: the rounding of each adds to the error.
    """

    @abstractmethod
    def code_blocks(self, n: int, *, rng: np.random.Generator) -> Iterator[Codes]:
        """Yield `n` rows of integer codes in blocks of at most `BLOCK_ROWS`."""


class KnownLaws(ABC):
    """What a model also is whose single columns are known without drawing rows, and little else."""

    @abstractmethod
    def one_way(self, attribute: str) -> NDArray[np.float64]:
        """Return expected counts of the codes of `attribute`, an attribute of the domain."""


class TractableModel(SyntheticModel):
    """A model whose conditional laws and marginals are known, not only its samples.

    Rows of a rare condition are then drawn from its conditional law; those of any other model have
    to be sifted from rows of the whole.
    """

    @property
    @abstractmethod
    def tractable(self) -> bool:
        """Whether this one is small enough for it."""

    @abstractmethod
    def given(self, evidence: Evidence) -> "TractableModel":
        """Return the model of the records in which some attributes have certain codes.

        Its samples are exactly conditional, and as free as those of the whole; its total is the
        expected number of such records.

        Args:
            evidence: attribute -> its code, the codes that it may have, or a `Likelihood`.

        Raises:
            ContradictionError: no record can have these codes.
            InvalidValueError: a code that an attribute does not have.
            UnknownNameError: an attribute that the schema lacks.
        """

    @abstractmethod
    def marginal(self, attributes: Clique) -> NDArray[np.float64]:
        """Return expected counts of `attributes`, axes in the order given, summing to the total.

        Raises:
            InvalidValueError: an attribute twice, or a marginal of too many cells.
            UnknownNameError: an attribute that the schema lacks.
        """


@dataclass(frozen=True, kw_only=True)
class Generator(ABC):
    """A synthesis algorithm: frozen public hyperparameters, never an epsilon.

    Class attributes:
        name: the registry's name.
        accountant: the name of the accountant that suits it best.
        reference: the paper, with section or equation.
        model: the class of what `fit` returns, for loading saved models.
        requires: modules of an optional extra that `fit` imports; without them a sweep leaves the
            generator out with a sentence.
        uses_public: whether `fit` looks at `private.public`.
        trains: whether `fit` needs the records themselves, in memory, and not only counts of them.
        gaussian: whether nothing but Gaussian noise will do, of which pure privacy has none.
    """

    name: ClassVar[str]
    accountant: ClassVar[str]
    reference: ClassVar[str]
    model: ClassVar[type[SyntheticModel]]
    requires: ClassVar[tuple[str, ...]] = ()
    uses_public: ClassVar[bool] = False
    trains: ClassVar[bool] = False
    gaussian: ClassVar[bool] = False

    @property
    @final
    def needs_plan(self) -> bool:
        """Whether `fit` reserves a plan that no adaptive accountant can price: that of DP-SGD."""
        return self.trains and self.accountant not in ADAPTIVE

    @final
    def check_noise(self, accountant: str) -> None:
        """Refuse an accountant that allows none of the noise that `fit` needs, before anything is
        bought.

        Args:
            accountant: its name.

        Raises:
            UnsupportedEventError: it is of pure privacy, and the noise is Gaussian.
        """
        if self.gaussian and accountant == "pure":
            rule = f"{self.name!r} needs Gaussian noise; choose 'gdp' or 'zcdp'"
            raise UnsupportedEventError(accountant, "Gaussian noise", rule)

    @abstractmethod
    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> SyntheticModel:
        """Spend what is left of `private`'s budget and return a model.

        Args:
            private: the one door to the records.
            rng: randomness of post-processing only (initial weights, rounding).

        Raises:
            PrivacyError: the accountant cannot express what the generator needs.
        """


def check_installed(generator: Generator) -> None:
    """Refuse to fit without the modules that a generator requires, before anything is spent.

    Args:
        generator: whose class says what it requires, all of it of the extra "neural".

    Raises:
        MissingExtraError: one is not installed.
    """
    if any(find_spec(module) is None for module in generator.requires):
        raise MissingExtraError(f"the generator {generator.name!r}", "neural")


def check_counts(owner: object, *fields: str) -> None:
    """Refuse a hyperparameter that counts something and is below 1.

    Args:
        owner: whose hyperparameters they are.
        fields: their names.

    Raises:
        InvalidValueError: the first one below.
    """
    for field in fields:
        value = getattr(owner, field)
        if value < 1:
            raise InvalidValueError(field, value, "at least 1")


def check_shares(owner: object, *fields: str) -> None:
    """Refuse a part of the budget, or any other fraction, that is not strictly between 0 and 1.

    Args:
        owner: whose hyperparameters they are.
        fields: their names.

    Raises:
        InvalidValueError: the first one outside.
    """
    for field in fields:
        value = getattr(owner, field)
        if not 0 < value < 1:
            raise InvalidValueError(field, value, "above 0 and below 1")


def check_positive(owner: object, *fields: str) -> None:
    """Refuse a hyperparameter that is not a finite number above 0.

    Args:
        owner: whose hyperparameters they are.
        fields: their names.

    Raises:
        InvalidValueError: the first one that is none.
    """
    for field in fields:
        value = getattr(owner, field)
        if not 0 < value < inf:
            raise InvalidValueError(field, value, "a finite number above 0")


def check_usable(generator: Generator, *, public: object) -> None:
    """Refuse what a fit would not get far with, before columns are bought for it.

    Raises:
        InvalidValueError: a public table for a generator that would not use it.
        MissingExtraError: as of `check_installed`.
    """
    if public is not None and not generator.uses_public:
        rule = f"left out for {generator.name!r}, which has no use for one; 'public_prior' has"
        raise InvalidValueError("public", "a table", rule)
    check_installed(generator)
