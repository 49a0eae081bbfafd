"""Guarantees for people to read: numbers of few digits, never smaller than what they stand for."""

from decimal import ROUND_CEILING, Context

_DIGITS = Context(prec=6, rounding=ROUND_CEILING)


def rounded_up(value: float) -> str:
    """Return `value` in at most six digits, rounded up: what is stated of a loss still holds.

    Args:
        value: finite; what its shortest decimal spelling says is what is rounded.
    """
    return f"{float(_DIGITS.create_decimal(repr(float(value)))):.6g}"
