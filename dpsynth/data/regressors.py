"""Which columns a regression by least squares may take."""

from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError


def regressors(schema: Schema, outcome: str, on: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns that explain `outcome`, all at once.

    Args:
        schema: describes the columns.
        outcome: the column to explain.
        on: those that explain it; empty: all other numeric ones.

    Raises:
        InvalidValueError: a column without numbers, the outcome as its own cause, one named twice,
            or none at all.
        UnknownNameError: no such column.
    """
    numeric = [c.name for c in schema.columns if not isinstance(c, CategoricalColumn)]
    causes = on or tuple(name for name in numeric if name != outcome)
    for field, name in (("slopes_of", outcome), *(("on", cause) for cause in causes)):
        if schema.column(name).name not in numeric:
            raise InvalidValueError(field, name, "a numeric column")
    if not causes or outcome in causes or len(set(causes)) < len(causes):
        raise InvalidValueError("on", causes, f"numeric columns other than {outcome!r}, each once")
    return causes
