"""DP-SGD whose Poisson batches are cut to a fixed size: what the cap costs."""

# pyright: reportMissingTypeStubs=false

from dpsynth.errors import InvalidValueError
from dpsynth.privacy.events import DpSgdEvent
from dpsynth.privacy.pld import epsilon_of_distribution


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
        InvalidValueError: a value outside its range.

    Reference: Ganesh et al. 2025 (arXiv 2508.15089), Section 4.3 of dp-accounting's PLD notes.
    """
    from dp_accounting import NeighboringRelation
    from dp_accounting.pld import privacy_loss_distribution as pld

    if not 0.0 < delta < 1.0:
        raise InvalidValueError("delta", delta, "above 0 and below 1")
    if units < 1:
        raise InvalidValueError("units", units, "at least 1")
    if not 1 <= batch_cap <= units:
        raise InvalidValueError("batch_cap", batch_cap, f"at least 1 and at most units {units}")
    one = pld.from_truncated_subsampled_gaussian_mechanism(
        dataset_size=units,
        sampling_probability=event.sample_rate,
        truncated_batch_size=batch_cap,
        noise_multiplier=event.noise_multiplier,
        neighboring_relation=NeighboringRelation.REPLACE_SPECIAL,
    )
    return epsilon_of_distribution(one.self_compose(event.steps), event.steps, delta)
