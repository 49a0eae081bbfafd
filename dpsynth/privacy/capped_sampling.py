"""DP-SGD whose Poisson batches are cut to a fixed size: what the cap costs."""

# pyright: reportMissingTypeStubs=false

from typing import Any

from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Neighbouring
from dpsynth.privacy.events import DpSgdEvent
from dpsynth.privacy.pld import epsilon_of_distribution
from dpsynth.privacy.sampled_gaussian import sampled_gaussian

_INTERVAL = 1e-4


def capped_dpsgd_epsilon(event: DpSgdEvent, delta: float, *, units: int, batch_cap: int) -> float:
    """Return the epsilon at `delta` of DP-SGD with Poisson batches of at most `batch_cap` units.

    A batch that is too large is cut at random, so that one unit can push another out: the cap is
    not free. A neighbour blanks one unit (its gradient is 0), and the number of units is public.

    Args:
        event: the run, as if it had no cap.
        delta: in (0, 1).
        units: number of units in the data, public.
        batch_cap: the most units in a batch, in [1, units].

    Raises:
        InvalidValueError: a value outside its range, or a sample rate of 1.

    Reference: Ganesh et al. 2025 (arXiv 2508.15089), Section 4.3 of dp-accounting's PLD notes.
    """
    from scipy import stats

    if not 0.0 < delta < 1.0:
        raise InvalidValueError("delta", delta, "above 0 and below 1")
    if units < 1:
        raise InvalidValueError("units", units, "at least 1")
    if not 1 <= batch_cap <= units:
        raise InvalidValueError("batch_cap", batch_cap, f"at least 1 and at most units {units}")
    if event.sample_rate == 1.0:
        raise InvalidValueError("sample_rate", event.sample_rate, "below 1 for capped batches")
    binom: Any = stats.binom
    # one unit at most pushes another out, when its batch is full: then a sum moves by two norms
    full = float(binom.sf(batch_cap - 1, units - 1, event.sample_rate))
    one = sampled_gaussian(
        event.noise_multiplier, event.sample_rate, Neighbouring.ADD_REMOVE, interval=_INTERVAL
    )
    if full > 0.0:
        over = float(binom.sf(batch_cap, units, event.sample_rate))
        swap = sampled_gaussian(
            event.noise_multiplier / 2.0,
            over * batch_cap / units / full,
            Neighbouring.REPLACE,
            interval=_INTERVAL,
        )
        one = swap.compute_mixture(one, full)
    return epsilon_of_distribution(one.self_compose(event.steps), event.steps, delta)
