"""PATE on records: teachers of disjoint parts vote on generated rows, and the votes get noise.

Trust boundary. A generator hands over rows that it made and public features, and gets noisy numbers
of votes. The session alone holds records, their random partition and what the teachers learn from
them; none of it leaves, and no code of the generator's runs on records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, NoReturn, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.pricing import Pricing, share
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError, LedgerError, UnsupportedEventError
from dpsynth.privacy.accountant import Accountant
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.events import ComposedEvent, GaussianEvent
from dpsynth.privacy.noise import NoiseSource

Codes = NDArray[np.integer[Any]]
# Part of the spread of generated features that is added to each direction: it stays invertible.
_RIDGE = 0.1
# Teachers that vote at a time.
_AT_ONCE = 2**10


def check_votes(accountant: Accountant) -> None:
    """Refuse pure privacy, before anything else is bought: votes get Gaussian noise.

    Raises:
        UnsupportedEventError: the accountant is of pure privacy.
    """
    if accountant.name == "pure":
        rule = "votes get Gaussian noise; choose 'gdp' or 'zcdp'"
        raise UnsupportedEventError(accountant.name, "a vote of teachers", rule)


@final
@dataclass(frozen=True, kw_only=True)
class VotePlan:
    """All of a vote that its privacy depends on, fixed before the first round.

    Args:
        teachers: number of parts of the records; public, or bought.
        rounds: how often rows are put to the vote.
        rows: generated rows in each round.

    Raises:
        InvalidValueError: a number below 1.
    """

    teachers: int
    rounds: int
    rows: int

    def __post_init__(self) -> None:
        for field in ("teachers", "rounds", "rows"):
            if getattr(self, field) < 1:
                raise InvalidValueError(field, getattr(self, field), "at least 1")

    def sensitivity(self, budget: Budget) -> float:
        """Return the L2 sensitivity of the votes of one round (`VotingSession`)."""
        return budget.max_rows_per_unit * sqrt(self.rows)

    def priced(self, pricing: Pricing, amount: float) -> ComposedEvent:
        """Return the event of all rounds, which costs at most `amount`.

        Args:
            pricing: of the curator that will answer.
            amount: in the accountant's currency.

        Raises:
            InvalidValueError: an amount that is not above 0.
            UnsupportedEventError: a plan accountant (votes are Gaussian, and a filter's exact
                price of them needs no plan), or pure privacy, which knows no Gaussian.
        """
        check_votes(pricing.accountant)
        sensitivity = self.sensitivity(pricing.accountant.budget)
        each = share(amount, "rounds", self.rounds)
        sigma = pricing.filter.gaussian_sigma(each, sensitivity=sensitivity)
        distance = pricing.noise.sampling_distance(pricing.law, sigma, self.rows)
        event = GaussianEvent(
            sigma=sigma, sensitivity=sensitivity, law=pricing.law, sampling_distance=distance
        )
        return ComposedEvent(events=(event,) * self.rounds)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class SignFeatures:
    """Features of a row, each the product of the signs that its codes have in two attributes.

    Args:
        pairs: positions of two attributes for each feature.
        signs: for each feature, the sign (1 or -1) of each code of either attribute.
    """

    pairs: tuple[tuple[int, int], ...]
    signs: tuple[tuple[NDArray[np.int8], NDArray[np.int8]], ...]

    def check(self, domain: Domain) -> None:
        """Refuse features that the domain's codes do not have.

        Raises:
            InvalidValueError: none, or not one sign a code.
        """
        if not self.pairs or len(self.pairs) != len(self.signs):
            raise InvalidValueError(
                "features", len(self.signs), "one or more, each of two attributes"
            )
        for pair, tables in zip(self.pairs, self.signs, strict=True):
            for at, table in zip(pair, tables, strict=True):
                known = 0 <= at < len(domain.shape) and table.shape == (domain.shape[at],)
                if not (known and bool(np.isin(table, (-1, 1)).all())):
                    raise InvalidValueError("features", pair, "a sign for each code of attributes")

    def column(self, at: int, codes: Codes) -> NDArray[np.int8]:
        """Return one feature of each row of codes."""
        (first, second), (left, right) = self.pairs[at], self.signs[at]
        return left[codes[:, first]] * right[codes[:, second]]

    def __call__(self, codes: Codes) -> NDArray[np.float64]:
        """Return all features, of shape (rows, features)."""
        columns = [self.column(at, codes) for at in range(len(self.pairs))]
        return np.stack(columns, axis=1).astype(np.float64)


def partition(rows: int, teachers: int, noise: NoiseSource) -> NDArray[np.intp]:
    """Return the teacher of each row: a uniform draw of its own, whatever the row holds."""
    return (noise.words(rows) % np.uint64(teachers)).astype(np.intp)


def exact_votes(
    codes: Codes,
    teacher: NDArray[np.intp],
    teachers: int,
    made: Codes,
    features: SignFeatures,
) -> NDArray[np.int64]:
    """Return for each generated row how many teachers call it real: secret.

    A teacher is the linear discriminant between its part of the records and the generated rows,
    with the covariance of the latter. It calls a row real that lies on its records' side of the
    mean of the generated rows, so that small parts, which always look unlike what is generated,
    vote on about half of the rows. A teacher without records calls nothing real.

    What a teacher says depends on its own part alone: sums of signs are whole numbers, hence exact
    in any order, and all that follows has shapes that are public.

    Args:
        codes: the records, one row each.
        teacher: of each record.
        teachers: how many there are.
        made: generated rows.
        features: public.
    """
    sums = np.stack(
        [
            np.bincount(teacher, weights=features.column(at, codes), minlength=teachers)
            for at in range(len(features.pairs))
        ],
        axis=1,
    )
    sizes = np.bincount(teacher, minlength=teachers)
    generated = features(made)
    centre = generated.mean(axis=0)
    around = generated - centre
    spread: NDArray[np.float64] = around.T @ around / len(made)
    spread += _RIDGE * np.eye(len(spread))
    towards: NDArray[np.float64] = np.linalg.inv(spread) @ around.T
    votes = np.zeros(len(made), dtype=np.int64)
    for some in (slice(at, at + _AT_ONCE) for at in range(0, teachers, _AT_ONCE)):
        size = sizes[some, None]
        sides = (sums[some] / np.maximum(size, 1) - centre) @ towards
        votes += ((sides > 0.0) & (size > 0)).sum(axis=0)
    return votes


@final
class VotingSession:
    """The rounds of one plan that has been charged; it hands out noisy votes and nothing else.

    Made by `PrivateData.teachers`, after the charge of all rounds.

    Sensitivity: one row more, less or changed moves each count by at most 1, hence the n counts of
    a round by at most sqrt(n) in L2 norm. Proof. Each row's teacher is a draw of its own,
    independent of what any row holds; neighbouring tables can be given the same draws for all rows
    that they share, and a changed row that of the row it replaces, without a change of law. Then
    the parts of all teachers but one are equal, and so are their votes (`exact_votes`); the other
    one's votes are 0 or 1 on each row, in both worlds. What holds for each draw holds on average
    over them. A unit of at most k rows reaches k teachers: k sqrt(n), when it comes or goes and
    when it is replaced. Later rounds depend on earlier answers only, and the partition stays.

    Cost: one Gaussian event a round, composed by Gaussian DP exactly, or by zCDP. No data-dependent
    bound is used, so what is charged is public.

    Args:
        codes: the encoded records, one row each; they stay inside.
        domain: their public domain.
        plan: what has been charged.
        event: what has been charged for it.
        noise: source of the partition and of the noise.

    Reference: Papernot et al. 2018 (Gaussian noise on votes); Jordon, Yoon & van der Schaar 2019,
        section 4 (votes on generated rows), whose Laplace noise and moments bound are not used.
    """

    def __init__(
        self,
        *,
        codes: Codes,
        domain: Domain,
        plan: VotePlan,
        event: ComposedEvent,
        noise: NoiseSource,
    ) -> None:
        self._codes, self._domain = codes, domain
        self._plan, self._event, self._noise = plan, event, noise
        self._teacher = partition(len(codes), plan.teachers, noise)
        self._held = 0

    def __repr__(self) -> str:
        return f"VotingSession({self._plan}, rounds_held={self._held})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a VotingSession holds records and cannot be pickled")

    @property
    def plan(self) -> VotePlan:
        """What has been charged."""
        return self._plan

    @property
    def sigma(self) -> float:
        """The standard deviation of the noise of each count."""
        return self._round.sigma

    @property
    def rounds_held(self) -> int:
        """Rounds begun so far."""
        return self._held

    @property
    def _round(self) -> GaussianEvent:
        event = self._event.events[0]
        assert isinstance(event, GaussianEvent)  # `VotePlan.priced` makes no other
        return event

    def votes(self, made: Codes, features: SignFeatures) -> NDArray[np.float64]:
        """Return for each generated row how many teachers call it real, with noise.

        Args:
            made: rows that were generated: integer codes, of shape (plan.rows, attributes).
            features: by which teachers judge; public.

        Raises:
            InvalidValueError: other rows than planned, codes outside of the domain, or features
                that do not fit it.
            LedgerError: every round of the plan has been held.
        """
        if self._held >= self._plan.rounds:
            rule = f"all {self._plan.rounds} rounds of the plan are held, and no more are paid for"
            raise LedgerError("teachers", rule)
        _check_made(made, self._plan.rows, self._domain.shape)
        features.check(self._domain)
        self._held += 1
        exact = exact_votes(self._codes, self._teacher, self._plan.teachers, made, features)
        event = self._round
        return exact + self._noise.gaussian(event.sigma, exact.shape, law=event.law)


def _check_made(made: Codes, rows: int, shape: Sequence[int]) -> None:
    """Refuse generated rows that are not as planned."""
    if made.shape != (rows, len(shape)):
        raise InvalidValueError("generated rows", made.shape, f"of shape {(rows, len(shape))}")
    if not (np.issubdtype(made.dtype, np.integer) and (made >= 0).all() and (made < shape).all()):
        raise InvalidValueError("generated rows", made.dtype.name, "codes of the domain")
