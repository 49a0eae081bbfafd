"""Start a program and write down what became of it: `launcher.py FIGURES LIMIT RECORDS WORDS...`

It is run by a bare interpreter, since a process inherits the peak of memory of whoever starts it.
Its standard input is a pipe that nobody writes to: when that closes, whoever asked is gone, and the
program is ended with all its children, and the folder RECORDS (if it is not empty text) removed. It
copies the program's output, up to a bound.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

COPIED = 2**20  # bytes of output that are passed on; a flood must not fill a disk
TAIL = 8000  # bytes of its end that are kept


class Output:
    """The end of what a program says, passed on as it comes."""

    def __init__(self, pipe: int) -> None:
        self.tail, self._pipe, self._copied = b"", pipe, 0
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        while chunk := os.read(self._pipe, 2**16):
            self.tail = (self.tail + chunk)[-TAIL:]
            if self._copied < COPIED:
                self._copied += len(chunk)
                with suppress(OSError):  # a full disk: the program must not wait for it
                    os.write(1, chunk)


class Guard:
    """Ends a program, with all that it has started, when it is late or nobody waits for it."""

    def __init__(self, group: int, output: Output, *, orphaned: list[str]) -> None:
        self.late, self.alone = threading.Event(), threading.Event()
        self._group, self._output, self._orphaned = group, output, orphaned
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Kill the program and its children."""
        with suppress(ProcessLookupError, PermissionError):  # gone already
            os.killpg(self._group, signal.SIGKILL)

    def end_late(self) -> None:
        """Kill them, since their time is over."""
        self.late.set()
        self.end()

    def _watch(self) -> None:
        while os.read(0, 1):
            pass
        self.alone.set()
        self.end()
        self._output.reader.join(5.0)  # nobody writes any more
        for folder in self._orphaned:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)


def follow(words: list[str], *, limit: float, orphaned: list[str]) -> dict[str, object]:
    """Return what became of a program, once it has ended.

    Args:
        words: its command.
        limit: seconds after which it is ended; 0 for none.
        orphaned: folders to remove when whoever asked is gone.
    """
    began = time.monotonic()
    try:
        program = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return {"unstarted": error.strerror or str(error)}
    assert program.stdout is not None
    output = Output(program.stdout.fileno())
    guard = Guard(program.pid, output, orphaned=orphaned)
    clock = threading.Timer(limit, guard.end_late)
    clock.daemon = True
    if limit:
        clock.start()
    _, status, usage = os.wait4(program.pid, 0)
    clock.cancel()
    if guard.alone.is_set():
        guard.thread.join()  # it ends this process
    seconds = time.monotonic() - began
    guard.end()  # children that it left behind
    output.reader.join(1.0)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = max(usage.ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / unit
    return {
        "code": os.waitstatus_to_exitcode(status),
        "late": guard.late.is_set(),
        "seconds": seconds,
        "peak_mb": peak,
        "tail": output.tail.decode(errors="replace"),
    }


def main() -> None:
    """Follow the program that the command line names."""
    figures, limit, records, *words = sys.argv[1:]
    orphaned = [os.path.dirname(figures), *filter(None, [records])]
    told = follow(words, limit=float(limit), orphaned=orphaned)
    with open(figures, "w", encoding="utf-8") as file:
        json.dump(told, file)
    os._exit(0)  # whatever still holds the pipe of its output


if __name__ == "__main__":
    main()
