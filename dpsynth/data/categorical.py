"""Columns of categories, declared before anything is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, final

from dpsynth.data.column_rules import (
    INTEGER_DTYPES,
    TEXT_DTYPES,
    TRUTH_DTYPES,
    Category,
    category,
    category_list,
    check_choice,
    check_dtype,
    check_flag,
    check_name,
)
from dpsynth.errors import SchemaError

_DTYPES = {str: TEXT_DTYPES, bool: TRUTH_DTYPES, int: ("category", "object", *INTEGER_DTYPES)}


@final
@dataclass(frozen=True, kw_only=True)
class CategoricalColumn:
    """A column of unordered categories; codes follow the order in which they are declared.

    Columns that differ in `dtype` only are equal: their codes mean the same.

    Args:
        name: the column's name.
        categories: at least one, unique, all of one type: texts, integers, or truth values.
        missing: whether a value may be missing; a missing value is the last code.
        on_invalid: "error" refuses a value outside the categories; "other" sends it to `other`.
        other: the category that takes values outside; one of `categories`, given exactly when
            `on_invalid` is "other".
        dtype: of the column in frames of records; None is pandas' "category".

    Raises:
        SchemaError: a field outside its rule.
    """

    name: str
    categories: tuple[Category, ...]
    missing: bool = False
    on_invalid: Literal["error", "other"] = "error"
    other: Category | None = None
    dtype: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        check_flag(self.name, "missing", self.missing)
        object.__setattr__(self, "categories", category_list(self.name, self.categories))
        check_choice(self.name, "on_invalid", self.on_invalid, ("error", "other"))
        kind = type(self.categories[0])
        check_dtype(self.name, self.dtype, _DTYPES[kind], missing=self.missing)
        if (self.on_invalid == "other") != (self.other is not None):
            raise SchemaError(
                self.name, self.other, "other is given exactly when on_invalid is 'other'"
            )
        if self.other is not None:
            other = category(self.name, self.other)
            if type(other) is not kind or other not in self.categories:
                raise SchemaError(self.name, other, "other must be one of the categories")
            object.__setattr__(self, "other", other)

    @cached_property
    def codes(self) -> Mapping[Category | None, int]:
        """Category -> its code; None has none."""
        return {category: code for code, category in enumerate(self.categories)}

    @property
    def size(self) -> int:
        """Number of codes, the one for missing values included."""
        return len(self.categories) + self.missing
