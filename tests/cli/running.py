"""Commands as a person gives them: arguments in, exit code and text out."""

from collections.abc import Callable

import pytest

from dpsynth.cli import main


def runner(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Return a function that runs a command and returns its exit code and what it said."""

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as exit_code:
            main(arguments)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(exit_code.value.code or 0), said.out + said.err

    return run
