"""Guarantees for people to read: numbers of few digits, never smaller than what they stand for."""

from decimal import ROUND_CEILING, Context


def rounded_up(value: float, *, digits: int = 6) -> str:
    """Return `value` in few digits, rounded up: what is stated of a loss still holds.

    Args:
        value: finite; what its shortest decimal spelling says is what is rounded.
        digits: at most so many.
    """
    exact = Context(prec=digits, rounding=ROUND_CEILING)
    return f"{float(exact.create_decimal(repr(float(value)))):.{digits}g}"
