"""What the system tells of a process, also while processes come and go."""

import os
import subprocess
import sys
import threading

import pytest

from dpsynth.memory import family, held_mb, resident_mb

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def ended() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_process_that_has_ended_is_alone_and_holds_nothing(ended: int) -> None:
    assert family(ended) == [ended]
    assert resident_mb(ended) is None
    assert held_mb(ended) is None
    assert family(None) == []


@linux
def test_a_child_is_found() -> None:
    with subprocess.Popen(["sleep", "30"]) as child:
        try:
            assert child.pid in family(os.getpid())
        finally:
            child.kill()


@linux
def test_children_that_end_while_they_are_listed_are_left_out() -> None:
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            subprocess.run(["true"], check=True)

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        seen = {pid for _ in range(2_000) for pid in family(os.getpid())}
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(seen) > 10
