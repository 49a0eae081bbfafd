"""The one door to records: every access is charged before its noise is drawn.

It guards against mistakes, not against an adversary inside the process: Python hides nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.admission import admitted, ledger_of
from dpsynth.curator.answering import Answering
from dpsynth.curator.best_fit import BestFitQuery
from dpsynth.curator.blocks import StoredRecords
from dpsynth.curator.checked_network import CheckedNetwork
from dpsynth.curator.embedding import EmbeddingQuery, measured_embedding
from dpsynth.curator.interactions import relative_noise
from dpsynth.curator.journal import Journal, Write
from dpsynth.curator.knowledge import Zeros, known_zeros
from dpsynth.curator.measuring import (
    errors_event,
    measured_errors,
    measured_interactions,
    measured_marginals,
)
from dpsynth.curator.merging import Merging
from dpsynth.curator.observation import Observation
from dpsynth.curator.pricing import Pricing, share
from dpsynth.curator.public_records import PublicRecords
from dpsynth.curator.queries import ChildWithParents, CountQuery, MarginalQuery
from dpsynth.curator.repetition import rehearsed, repeated
from dpsynth.curator.schedule import Step, buy_schedule
from dpsynth.curator.scoring import dependence, worst_fit
from dpsynth.curator.sessions import dpsgd_session, voting_session
from dpsynth.curator.sgd import SgdPlan, SgdSession
from dpsynth.curator.teachers import VotePlan, VotingSession
from dpsynth.curator.unit import promises
from dpsynth.data.domain import Clique, Domain
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError, PrivacyError
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.privacy.accountant import Accountant
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import ComposedEvent, DpSgdEvent, Event, GdpEvent, RepeatedEvent
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.noise import NoiseSource
from dpsynth.privacy.receipt import Receipt

if TYPE_CHECKING:
    from dpsynth.data.table import Table


@final
class PrivateData:
    """Records that can only be asked noisy questions, each paid for from one ledger.

    It has no length, shows no record, and refuses to be copied or pickled.

    Args:
        table: the records, or where they are; encoded under their own schema, and sampled where a
            unit has too many.
        budget: the guarantee that everything bought here keeps together.
        noise: source of all privacy noise; its mode (research, release) becomes the receipt's.
        accountant: "zcdp", "gdp", "pure" (adaptive), or one of plans that are reserved beforehand;
            or the accountant itself, of a part of the budget.
        ledger: one of this budget that was charged already (`PrivateColumns`), whose accountant
            prices; None: a new one.
        observer: told of each access; for audits that record and replay.
        rowless: whether a unit may have no row, so that one in its place may bring the first.
        public: other records of the schema, which are no secret; the receipt names them.
        journal: what `ledger` was charged for was answered by it; goes on with what is asked here.

    Attributes:
        schema: the public description of the records.
        domain: attributes and sizes after encoding.
        budget: the guarantee.
        impossible: cells that the schema's constraints rule out, in the codes of `domain`.

    Raises:
        ContradictionError: the constraints leave no possible record.
        InvalidValueError: another unit of privacy than the schema's, an accountant of another
            budget, or what `known_zeros` refuses.
        DataError: too many records, or of a unit, where they can only be counted.
    """

    def __init__(
        self,
        table: "Table | StoredRecords",
        budget: Budget,
        *,
        noise: NoiseSource,
        accountant: str | Accountant = "zcdp",
        ledger: Ledger | None = None,
        observer: Callable[[Observation], None] | None = None,
        rowless: bool = False,
        public: PublicRecords | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.impossible: Zeros = known_zeros(table.schema, budget)
        counter = admitted(table, budget, noise)
        self.schema: Schema = table.schema
        self.domain: Domain = counter.domain
        self.budget, self.public, self._rowless = budget, public, rowless
        named = () if public is None else (public.statement,)
        self._unprotected = (*table.schema.inferred, *promises(table), *named)
        ledger = ledger_of(budget, accountant, ledger)
        self._answering = Answering(
            ledger=ledger,
            pricing=Pricing(accountant=ledger.accountant, noise=noise, domain=counter.domain),
            noise=noise,
            counter=counter,
            observer=observer,
            impossible=self.impossible,
            journal=journal,
        )

    def __repr__(self) -> str:
        return f"PrivateData({self.schema.names}, {self.budget}, {self.ledger.accountant.name})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise PrivacyError("private data cannot be copied or pickled: its ledger must stay unique")

    @property
    def ledger(self) -> Ledger:
        """What was charged so far."""
        return self._answering.ledger

    @property
    def mode(self) -> str:
        """ "research" or "release"."""
        return self._answering.noise.mode

    @property
    def public_rows(self) -> int | None:
        """The number of records where it is no secret, else None.

        It is public when the schema declares it, or by the relation: neighbours under REPLACE have
        equally many records as long as each unit has exactly one.
        """
        single = self.budget.max_rows_per_unit == 1 and not self._rowless
        if self.schema.public_rows is None and self.budget.relation is Neighbouring.REPLACE:
            return self._answering.counter.rows if single else None
        return self.schema.public_rows

    @property
    def remaining(self) -> float:
        """What is left of the budget, in the accountant's currency."""
        return self.ledger.remaining

    def sigma_for(self, amount: float, *, queries: int = 1) -> float:
        """Return the standard deviation of the noise of `queries` marginals that cost `amount`.

        Args:
            amount: what they may cost together, in the accountant's currency.
            queries: how many marginals share it equally.

        Raises:
            InvalidValueError: an amount that is not above 0, or no queries.
            UnsupportedEventError: the accountant serves fixed plans only.
        """
        return self._answering.pricing.sigma(share(amount, "queries", queries))

    def selection_epsilon_for(self, amount: float, *, rounds: int = 1) -> float:
        """Return the epsilon of each of `rounds` selections that together cost `amount`.

        Raises:
            InvalidValueError: an amount that is not above 0, or no rounds.
            UnsupportedEventError: the accountant serves fixed plans only.
        """
        return self._answering.pricing.filter.selection_epsilon(share(amount, "rounds", rounds))

    def schedule(self, steps: Sequence[Step]) -> list[float]:
        """Return each step's noise, and reserve the steps where plans are (see `buy_schedule`)."""
        return buy_schedule(self._answering.pricing, self.ledger, steps)

    def marginal(
        self, attributes: Sequence[str], *, sigma: float, label: str | None = None
    ) -> NoisyMarginal:
        """Return noisy counts of the cells of `attributes`.

        Args:
            attributes: at least one, each once; axes of the answer are in this order.
            sigma: standard deviation of the noise in each cell, in records.
            label: the ledger's; made from the attributes when None.

        Raises:
            BudgetExceededError: the budget does not cover it; nothing has changed.
            InvalidValueError, UnknownNameError: attributes that the domain cannot answer.
        """
        wanted = [tuple(attributes)]
        return measured_marginals(self._answering, wanted, sigmas=[sigma], label=label)[0]

    def marginals(
        self, cliques: Sequence[Sequence[str]], *, sigmas: Sequence[float], label: str | None = None
    ) -> list[NoisyMarginal]:
        """Return noisy counts of several cliques, charged together or not at all, each with its
        sigma, under one label: `measured_marginals`. Errors: `marginal`."""
        return measured_marginals(self._answering, cliques, sigmas=sigmas, label=label)

    def interactions(
        self, cliques: Sequence[Sequence[str]], *, sigmas: Sequence[float]
    ) -> list[NoisyMarginal]:
        """Return what cliques hold beyond their margins (`InteractionQuery`), charged together or
        not at all, with `interaction_noise`. Arguments and errors: `marginals`."""
        return measured_interactions(self._answering, cliques, sigmas=sigmas)

    def interaction_noise(self, shape: tuple[int, ...]) -> float:
        """Return the noise of interactions of so many codes in a marginal's of the same cost."""
        return relative_noise(shape, self._answering.pricing)

    def count(self, *, sigma: float, label: str = "count") -> float:
        """Return the noisy number of records; it may be negative.

        Raises:
            BudgetExceededError: the budget does not cover it; nothing has changed.
        """
        return float(self._answering.measure([(label, CountQuery(), sigma)])[0][0])

    def fit_errors(
        self,
        candidates: Sequence[Clique],
        predict: Callable[[Clique], NDArray[np.float64]],
        *,
        amount: float | GdpEvent,
        label: str = "errors of fit",
    ) -> tuple[NDArray[np.float64], float]:
        """Return noisy L1 errors of predictions and the noise's deviation: `measured_errors`."""
        return measured_errors(self._answering, candidates, predict, amount=amount, label=label)

    def fit_errors_event(self, candidates: Sequence[Clique], amount: GdpEvent) -> Event:
        """Return the event that `fit_errors` will charge for these arguments."""
        return errors_event(self._answering.pricing, candidates, amount)

    def embedding(
        self, query: EmbeddingQuery, *, amount: float
    ) -> tuple[NDArray[np.float64], float]:
        """Return noisy sums of random Fourier features and their noise: `measured_embedding`."""
        return measured_embedding(self._answering, query, amount=amount)

    def select_worst(
        self,
        candidates: Sequence[Clique],
        predict: Callable[[Clique], NDArray[np.float64]],
        *,
        epsilon: float,
        penalties: Sequence[float] | None = None,
        weights: Sequence[float] | None = None,
        label: str = "select worst fit",
    ) -> Clique:
        """Return a candidate whose counts a prediction misses by much, by exponential mechanism.

        The score is weight * (|counts - prediction|_1 - penalty) (`WorstFitQuery`).

        Args:
            candidates: cliques, at least one. A single one is returned for nothing.
            predict: expected counts of a candidate, axes in its order; public. Called once each.
            epsilon: range of the privacy loss of the selection.
            penalties: public amounts taken off the errors, in records; none when None.
            weights: public importance of each candidate, above 0 and at most 1; equal when None.
            label: the ledger's.

        Raises:
            BudgetExceededError: the budget does not cover it; nothing has changed.
            InvalidValueError, UnknownNameError: arguments that do not fit.
        """
        query = worst_fit(candidates, predict, penalties=penalties, weights=weights)
        return query.candidates[self._answering.select(label, query, len(candidates), epsilon)]

    def select_dependent(
        self,
        candidates: Sequence[ChildWithParents],
        *,
        epsilon: float,
        penalties: Sequence[float] | None = None,
        label: str = "select dependent",
    ) -> ChildWithParents:
        """Return a (child, parents) pair that is far from independent, by exponential mechanism.

        Scores are `DependenceQuery`'s, remembered from call to call. Arguments and errors:
        `select_worst`."""
        query = dependence(candidates, penalties=penalties)
        return query.candidates[self._answering.select(label, query, len(candidates), epsilon)]

    def select_best(
        self, query: BestFitQuery, *, epsilon: float, label: str = "select best fit"
    ) -> int:
        """Return the position of a candidate that misses the counts of all cliques by little, by
        exponential mechanism (`BestFitQuery`). Other arguments and errors: `select_worst`."""
        return self._answering.select(label, query, len(query.candidates), epsilon)

    def allot(self, part: float | GdpEvent, *, label: str = "allotment") -> "PrivateData":
        """Return a view of the same records with a ledger of its own over a part of the budget.

        The parent is charged for the whole part now, whatever the child spends of it.

        Args:
            part: of what remains, above 0 and at most 1; or an event (`part_of`).

        Raises:
            LedgerError: the event is not the next of the reserved plan.
            UnsupportedEventError: a fraction where the accountant serves fixed plans only.
        """
        if isinstance(part, GdpEvent):
            return self._view(self._answering.part(label, part))
        if not 0.0 < part <= 1.0:
            raise InvalidValueError("part", part, "above 0 and at most 1, or a GdpEvent")
        event = self._answering.pricing.filter.allotment(share(self.remaining * part, "part", 1))
        return self._view(self._answering.part(label, event))

    def merged(self, groups: Mapping[str, Sequence[int]]) -> "PrivateData":
        """Return a view of the same records, under the same ledger, with codes merged into groups.

        A merged attribute has another name (`Merging.names`), so that no marginal of groups is
        taken for one of codes. What is asked of the view costs what it costs of the records: each
        record's codes are replaced by public functions of themselves, so neighbours stay so.

        Args:
            groups: attribute -> the group of each of its codes, from 0 with none left out; public.

        Raises:
            InvalidValueError, UnknownNameError: groups that do not fit the domain.
        """
        merging = Merging(groups={name: tuple(map(int, of)) for name, of in groups.items()})
        return self._view(self._answering.merged(merging))

    def dpsgd(
        self, plan: SgdPlan, network: CheckedNetwork, *, rows: float, label: str = "dpsgd"
    ) -> SgdSession:
        """Return the session that runs all of a DP-SGD plan, charged now as a whole.

        Args:
            plan: sampling rate, steps, clipping norm and noise multiplier.
            network: checked for the plan's clipping norm and this domain.
            rows: the number of records to divide by: public, or bought.

        Arguments and errors: `dpsgd_session`."""
        return dpsgd_session(
            self._answering, plan, network, rows=rows, label=label, receipt=self.receipt
        )

    def teachers(self, plan: VotePlan, *, amount: float, label: str = "teachers") -> VotingSession:
        """Return the session in which teachers vote on generated rows (`VotingSession`), with all
        rounds charged now for `amount`, in the accountant's currency. Errors: as for `dpsgd`."""
        return voting_session(self._answering, plan, amount=amount, label=label)

    def rehearsed(
        self, fit: Callable[["PrivateData"], object], budget: Budget
    ) -> ComposedEvent | None:
        """Return what `fit` would reserve; nothing is drawn or charged: `rehearsed`."""
        return rehearsed(self._answering, lambda own: fit(self._view(own)), budget)

    def repeated(
        self, event: RepeatedEvent, budgets: Sequence[Budget], *, label: str
    ) -> list[tuple[Self, ...]]:
        """Return each run's views, one for each of its parts: `curator.repetition.repeated`."""
        runs = repeated(self._answering, event, budgets, label=label)
        return [tuple(self._view(part) for part in run) for run in runs]

    def kept_in(self, parts: Mapping[str, bytes], write: Write) -> Self:
        """Return a view that keeps each answer before it gives it (`Answering.kept`)."""
        return self._view(self._answering.kept(parts, write))

    def reserve(self, plan: Sequence[tuple[str, Event]]) -> None:
        """Reserve a plan of (label, event), once, for accountants of fixed plans.

        Events come from `marginal_event`, `count_event` or `SgdPlan.event` (`schedule` makes its
        own); each access then charges the next of them, and is refused when it is not that one.

        Raises:
            BudgetExceededError: the budget does not cover the whole plan.
            LedgerError: the accountant takes no plans, or has one already.
            RecordsElsewhereError: the plan has DP-SGD, and the records are not in memory.
            UnsupportedEventError: it has, and a unit has several rows.
        """
        for _, event in plan:
            if isinstance(event, DpSgdEvent):
                self._answering.trained_on(event)
        self.ledger.reserve(plan)

    def marginal_event(self, attributes: Sequence[str], *, sigma: float) -> Event:
        """Return the event that `marginal` will charge for these arguments."""
        return self._answering.pricing.event(MarginalQuery(clique=tuple(attributes)), sigma)

    def count_event(self, *, sigma: float) -> Event:
        """Return the event that `count` will charge."""
        return self._answering.pricing.event(CountQuery(), sigma)

    def receipt(self) -> Receipt:
        """Return the account of everything that was charged here."""
        mode = self._answering.noise.mode
        return self.ledger.receipt(mode=mode, unprotected=self._unprotected)

    def _view(self, answering: Answering) -> Self:
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view._answering, view.domain = answering, answering.counter.domain
        view.budget = answering.pricing.accountant.budget
        view.impossible = answering.impossible
        return view
