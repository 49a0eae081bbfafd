"""Executes notebooks from first cell to last, in a folder that is thrown away.

    python scripts/run_notebooks.py [NOTEBOOK ...] [--timeout SECONDS] [--keep FOLDER]

Without names: every notebook in notebooks/. Ends with 1, and the failing cell's error, when one
fails. The kernel is the interpreter that runs this script.
"""

import argparse
import re
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class _ThisInterpreter(KernelManager):
    """Starts kernels of this interpreter, whatever kernels the user has installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        arguments = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=arguments, display_name="python", language="python")


def run(path: Path, *, timeout: int, keep: Path | None) -> str | None:
    """Execute one notebook; return what went wrong, or None.

    Args:
        path: the notebook; it is not changed.
        timeout: seconds for any one cell.
        keep: folder for the executed copy.
    """
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_manager_class=_ThisInterpreter,
            resources={"metadata": {"path": folder}},
        )
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            return _COLOURS.sub("", str(error))
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, keep / path.name)
    return None


def main() -> int:
    """Run what the command line names; return the exit code."""
    parser = argparse.ArgumentParser(description="Execute notebooks.")
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--timeout", type=int, default=300, help="seconds for any one cell")
    parser.add_argument("--keep", type=Path, help="folder for the executed copies")
    options = parser.parse_args()
    paths = options.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb"))
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        print(f"no such notebook: {', '.join(missing) or 'notebooks/*.ipynb'}", file=sys.stderr)
        return 2
    failed = 0
    for path in paths:
        start = time.perf_counter()
        error = run(path, timeout=options.timeout, keep=options.keep)
        print(f"{'FAILED' if error else 'ok'} {path.name} {time.perf_counter() - start:.1f} s")
        if error:
            failed += 1
            print(error, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
