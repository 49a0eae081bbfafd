"""Seconds as people say them."""


def told(seconds: float) -> str:
    """Return a duration in its two largest units."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min"
    days, hours = divmod(round(minutes / 60), 24)
    return f"{days} d {hours} h"
