"""Errors tell one sentence, carry their values, and cross process borders whole."""

import pickle

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
