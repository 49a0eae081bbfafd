"""Write what the paper takes from a results store, and build its PDF where LaTeX is installed.

python scripts/build_paper.py STORE [--out paper/generated]
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import which

from dpsynth.errors import DpsynthError
from dpsynth.harness.store import Store
from dpsynth.harness.yardstick import yardstick
from dpsynth.report.paper import write_paper_inputs

PAPER = Path(__file__).parents[1] / "paper"
UNDEFINED = re.compile(r"^LaTeX Warning: There were undefined|Citation `[^']*'.*undefined", re.M)


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the paper from a results store.")
    parser.add_argument("store", help="a results store whose sweep is finished")
    parser.add_argument("--out", default=PAPER / "generated", type=Path)
    chosen = parser.parse_args()
    try:
        store = Store(chosen.store)
        store.plan()  # says so when there is no store, before records are read
        written = write_paper_inputs(store.path, yardstick(store), chosen.out)
    except DpsynthError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"wrote {len(written)} inputs of the paper to {chosen.out}")
    if which("latexmk") is None:
        print("The PDF needs LaTeX: install TeX Live with latexmk and run this again.")
        return 0
    return compile_pdf(chosen.out.resolve())


def compile_pdf(out: Path) -> int:
    """Run LaTeX on main.tex with the inputs in `out`, where main.pdf goes too."""
    command = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", f"-outdir={out}"]
    search = f"{out}{os.pathsep}{os.environ.get('TEXINPUTS', '')}{os.pathsep}"
    result = subprocess.run(
        [*command, "main.tex"],
        cwd=PAPER,
        env={**os.environ, "TEXINPUTS": search},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    log = out / "main.log"
    if result.returncode != 0:
        print(f"LaTeX failed; see {log}.", file=sys.stderr)
        return 1
    if UNDEFINED.search(log.read_text(errors="replace")):
        print(f"The paper has references to what is not defined; see {log}.", file=sys.stderr)
        return 1
    print(f"wrote {out / 'main.pdf'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
