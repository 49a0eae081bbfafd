"""Black-box audits: fits that are kept, crashes that tell, tables that do not fit."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dpsynth.audit.black_box import QueryFeatures, audit_black_box
from dpsynth.audit.claim import ClaimAudit
from dpsynth.audit.neighbours import narrow_neighbours
from dpsynth.audit.subjects import FitSample, Program
from dpsynth.errors import DpsynthError, InvalidValueError
from dpsynth.privacy.budget import Budget, Neighbouring

PAIRS = {"corner": narrow_neighbours(Neighbouring.ADD_REMOVE, columns=2)}
BUDGET = Budget(epsilon=1.0, delta=0.0)


class NoisyCount:
    """Releases a noisy number of records of ones, and as many zeros as there always are."""

    fits = 0

    def __init__(self, *, seed: int, epsilon: float = 1.0, fault: str = "") -> None:
        self.rng = np.random.default_rng(seed)
        self.epsilon, self.fault = epsilon, fault

    def fit(self, frame: pd.DataFrame) -> None:
        type(self).fits += 1
        ones = int((frame["x0"] == "1").sum())
        if self.fault == "crashes in 1%" and self.rng.random() < 0.01:
            raise RuntimeError("now and then")
        if self.fault == "crashes on the record" and ones and self.rng.random() < 0.3:
            raise RuntimeError("only with the record")
        if self.fault == "always crashes":
            raise RuntimeError("no licence")
        self.ones = max(0, round(ones + self.rng.laplace(0, 1 / self.epsilon)))
        self.word = "2" if self.fault == "domain" and ones and self.rng.random() < 0.3 else "0"

    def sample(self, rows: int) -> pd.DataFrame:
        values = ["1"] * self.ones + ["0"] * rows + [self.word]
        return pd.DataFrame({"x0": values, "x1": values})


def audited(fault: str = "", *, epsilon: float = 1.0, **given: Any) -> ClaimAudit:
    subject = FitSample(factory=lambda seed: NoisyCount(seed=seed, epsilon=epsilon, fault=fault))
    return audit_black_box(subject, BUDGET, PAIRS, runs=given.pop("runs", 150), **given)


def rejecting(found: ClaimAudit) -> set[str]:
    return {test.family for test in found.tests if test.violated}


@pytest.mark.statistical
def test_an_honest_generator_passes_and_four_times_its_budget_does_not() -> None:
    # 150 test runs a world, alpha .05, seed 0
    honest = audited()
    assert not honest.violated
    assert honest.epsilon_lower < 1.0 < honest.epsilon_largest_measurable
    assert "LDA" in rejecting(audited(epsilon=6.0))


@pytest.mark.statistical
def test_crashes_count_and_are_an_outcome_of_their_own() -> None:
    rare = audited("crashes in 1%")
    assert not rare.violated
    (failed,) = rare.failures
    assert failed.kind == "crash"
    assert 0 < sum(failed.failed) < 0.05 * 2 * failed.runs
    assert failed.runs == 2 * 150
    assert failed.first == "RuntimeError: now and then"
    telling = audited("crashes on the record")
    assert rejecting(telling) == {"crash"}
    (failed,) = telling.failures
    assert failed.failed[0] == 0 < failed.failed[1]
    assert "no records (a crash) in 0 of 300 runs" in str(failed)
    assert "'RuntimeError: only with the record'" in str(failed)


@pytest.mark.statistical
def test_a_category_from_the_records_is_an_outcome_too() -> None:
    found = audited("domain")
    assert rejecting(found) == {"misfit"}
    (failed,) = found.failures
    assert failed.kind == "misfit"
    assert failed.failed[0] == 0
    assert "'2'" in failed.first


def test_a_generator_that_never_works_is_told_with_its_reason() -> None:
    with pytest.raises(InvalidValueError, match="no licence"):
        audited("always crashes", runs=50)


def test_fits_are_kept_and_used_again(tmp_path: Path) -> None:
    NoisyCount.fits = 0
    first = audited(runs=60, cache=tmp_path)
    made = NoisyCount.fits
    assert made >= 2 * (30 + 30 + 60)
    second = audited(runs=60, cache=tmp_path)
    assert NoisyCount.fits == made
    assert first == second
    other = audited(runs=60, cache=tmp_path, seed=1)  # another seed is other runs
    assert NoisyCount.fits == 2 * made
    assert other != first
    for kept in tmp_path.iterdir():
        kept.write_bytes(b"damaged")
    assert audited(runs=60, cache=tmp_path) == first
    assert NoisyCount.fits == 3 * made


def test_features_count_what_agrees_with_the_record_that_differs() -> None:
    features = QueryFeatures(PAIRS["corner"])
    codes = np.array([[1, 1], [1, 0], [0, 0]])
    # rows, two means, then records that agree with (1, 1) on x0, on x1, on both
    assert features(codes).tolist() == [3, 2 / 3, 1 / 3, 2, 1, 1]


TOOL = """
grep -q '^1' "$1" && [ "$3" = crashes ] && exit 3
printf 'x0,x1\\n0,0\\n0,0\\n' > "$2"
"""


def test_a_program_from_csv_to_csv_is_audited(tmp_path: Path) -> None:
    (tmp_path / "tool.sh").write_text(TOOL)

    def found(mode: str) -> ClaimAudit:
        command = f"sh {tmp_path / 'tool.sh'} {{input}} {{output}} {mode}"
        program = Program(command=command, epsilon=1.0)
        return audit_black_box(program, BUDGET, PAIRS, runs=50, workers=2)

    works = found("works")
    assert not works.violated
    # What was registered beforehand is this command, not just any by the same interpreter.
    assert works.registration.mechanism.endswith("tool.sh {input} {output} works")
    assert rejecting(found("crashes")) == {"crash"}


@pytest.mark.parametrize(
    "command", ["tool {input}", "tool {output}", "no-such-tool {input} {output}", "x '{input}"]
)
def test_commands_that_cannot_be_run_are_refused(command: str) -> None:
    with pytest.raises(DpsynthError):
        Program(command=command, epsilon=1.0)
