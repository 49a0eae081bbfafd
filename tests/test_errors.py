"""Errors tell one sentence, carry their values, and cross process borders whole."""

import pickle
from datetime import date
from decimal import Decimal

import pytest

from dpsynth import errors


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            errors.InvalidValueError("epsilon", -1, "a finite number above 0"),
            "epsilon is -1, but it must be a finite number above 0.",
        ),
        (
            errors.UnknownNameError("generator", "mts", ["mst", "aim"]),
            "unknown generator 'mts'; did you mean 'mst'?",
        ),
        (
            errors.UnknownNameError("generator", "zzz", ["mst", "aim"]),
            "unknown generator 'zzz'; known: aim, mst.",
        ),
        (
            errors.BudgetExceededError("marginal a", 0.5, 0.25, "rho"),
            "'marginal a' would cost rho 0.5, but only 0.25 is left of the budget.",
        ),
        (
            errors.DataError("age", 130, "the schema's upper bound is 120"),
            "column 'age' has 130, but the schema's upper bound is 120.",
        ),
        (errors.NoRecordsError(), "table has 'no rows', but at least one is needed."),
        (
            errors.MissingExtraError("the generator 'dpvae'", "neural"),
            "the generator 'dpvae' needs an optional dependency; install dpsynth[neural].",
        ),
    ],
)
def test_sentence_and_pickling(error: errors.DpsynthError, sentence: str) -> None:
    assert str(error) == sentence
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert again.args == error.args
    assert vars(again) == vars(error)
    assert str(again) == sentence


def test_every_error_is_a_dpsynth_error() -> None:
    found = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, Exception)]
    assert len(found) > 8
    assert all(issubclass(e, errors.DpsynthError) for e in found)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two\nlines", r"'two\nlines'"),
        (" blanks ", "' blanks '"),
        ("n" * 10**6, f"'{'n' * 37}...{'n' * 38}'"),
        (list(range(10**6)), "[0, 1, 2, 3, 4, 5, ...]"),
        (10**4000, f"1{'0' * 37}...{'0' * 39}"),
        (10**5000, "an integer of more than 4000 digits"),
        (object(), "<object object>"),
        (date(2020, 2, 29), "2020-02-29"),
        (Decimal("1.50"), "1.50"),
    ],
    ids=["line", "blanks", "text", "list", "integer", "large integer", "object", "date", "decimal"],
)
def test_a_value_is_shown_short_and_on_one_line(value: object, shown: str) -> None:
    assert errors.shown(value) == shown
    assert str(errors.DataError("age", value, "x")) == f"column 'age' has {shown}, but x."
    assert str(errors.SchemaError(None, value, "x")) == f"schema: {shown} is not allowed, x."


def test_names_are_found_in_another_case_and_listed_by_the_dozen() -> None:
    error = errors.UnknownNameError("column", "SEX", ["sex", "age"])
    assert str(error) == "unknown column 'SEX'; did you mean 'sex'?"
    many = [f"c{i:05}" for i in range(10_000)]
    listed = ", ".join(many[:12])
    error = errors.UnknownNameError("column", "zzzz", many)
    assert str(error) == f"unknown column 'zzzz'; known: {listed} and 9988 more."
    assert len(str(errors.UnknownNameError("column", "x" * 10**6, ["y" * 10**6, "\n"]))) < 250
    assert str(errors.FileError("a\nb", "no")) == r"'a\nb': no."
