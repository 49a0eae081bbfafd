"""Start a program, watch it, and write down what became of it: `launcher.py FIGURES LIMIT WORDS...`

It is run by a bare interpreter, since a process inherits the peak of memory of whoever starts it.
Its standard input is a pipe that nobody writes to: when that closes, whoever asked is gone, and the
program is ended with all its children. It copies the program's output, up to a bound.
"""

import json
import os
import resource
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
                os.write(1, chunk)


def end(group: int) -> None:
    """Kill a process with all that it has started."""
    with suppress(ProcessLookupError, PermissionError):  # gone already
        os.killpg(group, signal.SIGKILL)


def follow(words: list[str], limit: float) -> dict[str, object]:
    """Return what became of a program, once it has ended.

    Args:
        words: its command.
        limit: seconds after which it is ended; 0 for none.
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
    output, late = Output(program.stdout.fileno()), threading.Event()

    def stop() -> None:
        late.set()
        end(program.pid)

    def watch() -> None:
        while os.read(0, 1):
            pass
        end(program.pid)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    clock = threading.Timer(limit, stop)
    clock.daemon = True
    if limit:
        clock.start()
    _, status, usage = os.wait4(program.pid, 0)
    clock.cancel()
    seconds = time.monotonic() - began
    end(program.pid)  # children that it left behind
    output.reader.join(1.0)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = max(usage.ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / unit
    return {
        "code": os.waitstatus_to_exitcode(status),
        "late": late.is_set(),
        "seconds": seconds,
        "peak_mb": peak,
        "tail": output.tail.decode(errors="replace"),
    }


def main() -> None:
    """Follow the program that the command line names."""
    told = follow(sys.argv[3:], float(sys.argv[2]))
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(told, file)
    os._exit(0)  # whatever still holds the pipe of its output


if __name__ == "__main__":
    main()
