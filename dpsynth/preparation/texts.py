"""Categories of an open set of texts: those that enough records share."""

from collections.abc import Mapping
from warnings import warn

from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.open_columns import OpenText


def bought_texts(
    private: PrivateColumns, column: OpenText, amounts: Mapping[str, float], selections: int
) -> CategoricalColumn:
    """Return the column with the texts that many records share, in their order, and with `other`.

    Args:
        private: the door to the raw columns.
        column: what is known of it.
        amounts: what the step "values" may cost, in the accountant's currency.
        selections: how many columns look for frequent values.
    """
    sigma = private.sigma_for(amounts["values"])
    texts, counts = private.frequent(column.name, sigma=sigma, parts=selections)
    largest = sorted(zip(-counts, texts, strict=True))[: column.most]
    found = sorted(str(text) for _, text in largest if text != column.other)
    if not found:
        warn(
            f"column {column.name!r} has no text that enough records share: all became "
            f"{column.other!r}. If it names people, leave it out, or name it as the unit.",
            stacklevel=2,
        )
    return CategoricalColumn(
        name=column.name,
        categories=(*found, column.other),
        on_invalid="other",
        other=column.other,
        missing=column.missing,
        dtype=column.dtype,
    )
