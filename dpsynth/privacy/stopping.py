"""How many runs there are: drawn from a stopping law, in decimals of more digits than matter."""

from decimal import Context, Decimal
from typing import Final

from dpsynth.errors import InvalidValueError
from dpsynth.privacy.events import RepeatedEvent, StoppingLaw
from dpsynth.privacy.noise import NoiseSource
from dpsynth.privacy.tuning import log_inverse_success

DRAW_DISTANCE: Final = 2.0**-150
"""Total-variation distance, at most, of the law of `drawn_runs` from the stated one.

A boundary of the cumulative law is off by its rounding and by the fineness of the uniform number:
there are fewer than 2**28 of them (the logarithmic law has the longest tail), each sum of so many
terms has an error below 2**28 * 1e-78, and the tail that is cut has less than 2**28 * 1e-75,
together below 1e-60.
"""
_DIGITS, _LEAST = 80, Decimal("1e-75")
_LARGEST_MEAN = 1e5
_WORDS = 5


def drawn_runs(event: RepeatedEvent, noise: NoiseSource) -> int:
    """Return a number of runs of the event's law: secret, and independent of the records.

    Args:
        event: the law and its mean.
        noise: source of the uniform number that chooses.

    Raises:
        InvalidValueError: a mean above 100,000, for which the distance was not computed.
    """
    if event.mean_runs > _LARGEST_MEAN:
        raise InvalidValueError("mean_runs", event.mean_runs, f"at most {_LARGEST_MEAN:g}")
    bits = int.from_bytes(noise.words(_WORDS).tobytes(), "little")
    exact = Context(prec=_DIGITS)
    uniform = exact.divide(Decimal(bits), Decimal(2 ** (64 * _WORDS)))
    law = _Law(event, exact)
    runs, mass = law.first
    below = mass
    while uniform >= below and (runs < event.mean_runs or mass > _LEAST):
        mass = exact.multiply(mass, law.ratio(runs))
        runs += 1
        below = exact.add(below, mass)
    return runs


class _Law:
    """The probabilities of a stopping law, from one to the next."""

    def __init__(self, event: RepeatedEvent, exact: Context) -> None:
        self._stopping, self._exact = event.stopping, exact
        self._mean = Decimal(event.mean_runs)
        log_inverse = Decimal(log_inverse_success(event.stopping, event.mean_runs))
        one = Decimal(1)
        match event.stopping:
            case StoppingLaw.GEOMETRIC:
                success = exact.divide(one, self._mean)
                self._failure = exact.subtract(one, success)
                self.first = 1, success
            case StoppingLaw.LOGARITHMIC:
                self._failure = exact.subtract(one, exact.exp(exact.minus(log_inverse)))
                self.first = 1, exact.divide(self._failure, log_inverse)
            case StoppingLaw.POISSON:
                self._failure = one
                self.first = 0, exact.exp(exact.minus(self._mean))

    def ratio(self, runs: int) -> Decimal:
        """Return the probability of one run more over that of `runs`."""
        match self._stopping:
            case StoppingLaw.GEOMETRIC:
                return self._failure
            case StoppingLaw.LOGARITHMIC:
                shrunk = self._exact.divide(Decimal(runs), Decimal(runs + 1))
                return self._exact.multiply(self._failure, shrunk)
            case StoppingLaw.POISSON:
                return self._exact.divide(self._mean, Decimal(runs + 1))
