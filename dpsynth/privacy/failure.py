"""What delta pays for answers that can fail: their probability, once, and no e^epsilon."""

from collections.abc import Iterable
from math import fsum

from dpsynth.privacy.accountant import Accountant
from dpsynth.privacy.events import ComposedEvent, Event


def failure(events: Iterable[Event]) -> float:
    """Return the summed probability of failure of `events`, nested ones included: the delta that
    they cost beside what their guarantees need.

    An answer fails with probability at most f where, for any two neighbours D and D', there are
    laws P' and Q' that keep what its event states, and the laws P and Q of the answer satisfy, as
    measures, P >= (1 - f) P' and Q >= (1 - f) Q': what sets them apart is an occurrence that is
    independent of the answer under P' (or Q'), of probability at most f.

    Composition: let P, P' be the laws of all answers of a ledger together, each question chosen by
    the same function of earlier answers, and F the most that the f_i add up to in any run. Answer
    by answer the densities satisfy p >= (1 - f_i) p', and the product of (1 - f_i) is at least
    1 - F, so that P >= (1 - F) P' and likewise Q >= (1 - F) Q'. The events state what P' and Q'
    keep: (epsilon, d) together.

    Cost: P = (1 - F) P' + F R for some law R. Hence for every set S of runs, with e = exp(epsilon),

        P(S) - e Q(S) <= F + (1 - F) P'(S) - e (1 - F) Q'(S) <= F + (1 - F) d <= F + d,

    the same with D and D' exchanged, and under either neighbour relation: (epsilon, d + F).

    Parts: the answers of an allotment, which has a ledger of its own, are together one answer of
    the ledger that sold it. By the composition above, within the part, that answer fails with at
    most the F that the part's ledger lets its own failures add up to, and then keeps what the
    allotment states. So F is the allotment's `failure`: it is charged once, where the part is sold,
    whether the part is sold adaptively or stands in a fixed plan, whose bound is one for P' and Q'
    whatever the answers before are. A part's ledger lets no distance pass: nobody would pay it.

    It needs that neither law lacks what P' or Q' has. A law that is only within total variation f
    of one that keeps the guarantee costs (1 + e) f.
    """
    probabilities: list[float] = []
    pending = list(events)
    while pending:
        event = pending.pop()
        probabilities.append(event.failure)
        if isinstance(event, ComposedEvent):
            pending.extend(event.events)
    return fsum(probabilities)


def allowed_failure(accountant: Accountant, parts: int) -> float:
    """Return the probability with which each of `parts` answers may fail.

    It is a part of the delta that was set aside, or of what an allotment states. Where there is
    neither, samplers' delta pays, at the price of an arbitrary distance, and half of it is left to
    them.
    """
    if accountant.failure_delta > 0:
        return accountant.failure_delta / parts * (1.0 - 2.0**-40)
    return 0.5 * accountant.payable_distance / parts
