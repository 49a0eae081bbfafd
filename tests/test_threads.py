"""Linear algebra in one thread: in force inside, given back after, and the same digits for it."""

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from dpsynth.threads import one_thread

# Two cliques of 40,000 cells: vectors that SciPy's library shares out among threads where it may.
FIT = """
import hashlib, sys
import numpy as np
from dpsynth.data.domain import Domain
from dpsynth.pgm.estimation import estimate
from dpsynth.pgm.measurement import NoisyMarginal

rng = np.random.default_rng(5)
domain = Domain(sizes={"a": 200, "b": 200, "c": 200})
noisy = [
    NoisyMarginal(clique=c, values=rng.gamma(0.3, 9.0, (200, 200)), sigma=3.0)
    for c in (("a", "b"), ("b", "c"))
]
if sys.argv[1] == "free":
    from contextlib import nullcontext
    import dpsynth.threads
    dpsynth.threads._pools = lambda: type("", (), {"limit": lambda self, **_: nullcontext()})()
model = estimate(domain, noisy, total=1e5, steps=60)
print(hashlib.sha1(b"".join(p.tobytes() for p in model.potentials)).hexdigest())
"""


def threads() -> set[int]:
    return {
        pool["num_threads"] for pool in ThreadpoolController().info() if pool["user_api"] == "blas"
    }


def test_inside_there_is_one_and_after_as_many_as_before() -> None:
    with one_thread():
        pass  # the libraries are loaded now
    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        with one_thread():
            assert threads() == {1}
        assert threads() == before
        with pytest.raises(ZeroDivisionError), one_thread():
            raise ZeroDivisionError
        assert threads() == before


def test_who_leaves_first_does_not_give_back_what_another_still_needs() -> None:
    with one_thread():
        pass
    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        with ExitStack() as first, ExitStack() as second:
            first.enter_context(one_thread())
            second.enter_context(one_thread())
            first.close()
            assert threads() == {1}
        assert threads() == before


def fitted(number: int, how: str) -> str:
    variables = {f"{library}_NUM_THREADS": str(number) for library in ("OPENBLAS", "OMP", "MKL")}
    command = [sys.executable, "-c", FIT, how]
    return subprocess.run(
        command, env={**os.environ, **variables}, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core has one thread")
def test_a_fit_is_the_same_to_the_last_bit_whatever_threads_there_are() -> None:
    if fitted(1, "free") == fitted(2, "free"):
        pytest.skip("threads change no digit in this library")
    assert fitted(1, "kept") == fitted(2, "kept")
