"""Each worker begins with slow files, and nothing is lost."""

import pytest

from tests.order import dealt

TESTS = [*("aaaaa"), *("bb"), *("ccc"), *("d"), *("eeee"), *("f")]


def order(slow: str, workers: int) -> str:
    return "".join(dealt(TESTS, workers, file=lambda of: of, slow=lambda of: of in slow))


def test_slow_files_come_first_in_each_share_and_quick_ones_last() -> None:
    assert order("bce", 2) == "bbeeeeaacccaaadf"
    assert order("", 2) == order("abcdef", 1) == "".join(TESTS)


@pytest.mark.parametrize("workers", [1, 2, 3, 20])
@pytest.mark.parametrize("slow", ["", "a", "bce", "abcdef"])
def test_no_test_is_lost(slow: str, workers: int) -> None:
    assert sorted(order(slow, workers)) == sorted(TESTS)
