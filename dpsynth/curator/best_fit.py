"""Which of several models fits the records best, asked of all their marginals at once."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.counting import Counter
from dpsynth.curator.queries import PARTS, FitErrorsQuery, Query
from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Budget

# A sum of so many errors, each below 2**32 records, is exact in a double in sixteenths.
CLIQUE_CEILING = 2**16


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class BestFitQuery(Query):
    """How well each candidate predicts the same cliques: minus the sum over cliques of
    |counts - prediction|_1, in sixteenths.

    Sensitivity: by the triangle inequality each of m errors changes by at most the L1 change of the
    counts, k (ADD_REMOVE) or 2k (REPLACE), so a score changes by at most m times that; attained
    where all errors move alike. Per clique that is one record's worth, however many cliques, codes
    or candidates there are. Not monotone: one record may help one candidate and harm another.
    Exactness: errors are integers in sixteenths (`FitErrorsQuery`), below 2**36; at most 2**16 of
    them add up to less than 2**53. Sensitivities are in sixteenths too.
    Cost: one exponential event.

    Args:
        cliques: at least one, the same for all candidates.
        candidates: of each the expected counts of each clique, axes in its order; public.

    Reference: McSherry & Talwar 2007, Theorem 6; Papernot & Steinke 2022, section 1 (a choice among
        trained models must be paid for).
    """

    cliques: tuple[Clique, ...]
    candidates: tuple[tuple[NDArray[np.float64], ...], ...]

    def check(self, domain: Domain) -> None:
        if not self.candidates:
            raise InvalidValueError("candidates", (), "at least one")
        if len(self.cliques) > CLIQUE_CEILING:
            raise InvalidValueError("cliques", len(self.cliques), f"at most {CLIQUE_CEILING}")
        for of in self._errors:
            of.check(domain)

    def evaluate(self, counter: Counter) -> NDArray[np.float64]:
        sums = [int(of.evaluate(counter).sum()) for of in self._errors]
        return -np.array(sums, dtype=np.float64)

    def sensitivity(self, budget: Budget) -> float:
        return float(PARTS * len(self.cliques)) * budget.l1_sensitivity

    @property
    def _errors(self) -> list[FitErrorsQuery]:
        return [FitErrorsQuery(candidates=self.cliques, predictions=p) for p in self.candidates]
