"""Run the auditor on pinned public versions of other libraries, each in an environment of its own.

    python scripts/audit_public_versions.py [--runs 5]

What does not install here is left out with a sentence. What follows from the results, and what does
not, is in docs/audits/public_versions.md.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from peers.contenders import HERE, Contender
from peers.running import PeerError, prepare, timed

from dpsynth.audit.tradeoff import TradeOff
from dpsynth.audit.verdict import bound_level, decide, largest_measurable_epsilon

ALPHA = 0.05
EPSILON = 1.0
NOISE_RUNS = 400
TIMEOUT = 3600.0
ODD = "nowhere"


def probed(project: str, task: dict[str, Any]) -> Any:
    """Return what a project's probe makes of a task.

    Raises:
        PeerError: no environment, a crash, or no result in time.
    """
    python = prepare(Contender(project=project, mechanism="probe"))
    with tempfile.TemporaryDirectory() as folder:
        given, made, log = (Path(folder) / name for name in ("task.json", "out.json", "log.txt"))
        given.write_text(json.dumps(task))
        command = [str(python), str(HERE / f"probe_{project}.py"), str(given), str(made)]
        timed(command, log=log, timeout=TIMEOUT, ours=False)
        return json.loads(made.read_text())


def noise_of_datasynthesizer() -> str:
    """Return the verdict on one noisy count of its PrivBayes: one record more in one cell."""
    first = [[0, 0], [0, 1], [1, 0], [1, 1]] * 25
    task = {"first": first, "second": [*first, [1, 1]], "cell": [1, 1], "seed": 0}
    worlds = probed("datasynthesizer", {**task, "epsilon": EPSILON, "runs": NOISE_RUNS})
    scores = [np.array(counts)[None] for counts in worlds]
    half = NOISE_RUNS // 2
    tests = decide(
        ("count",),
        (scores[0][:, :half], scores[1][:, :half]),
        (scores[0][:, half:], scores[1][:, half:]),
        claim=TradeOff(mu=None, pairs=((EPSILON, 0.0),)),
        delta=0.0,
        alpha=ALPHA,
    )
    best = max(tests, key=lambda test: test.epsilon_lower)
    spread = float(scores[0].std())
    most = largest_measurable_epsilon(half, bound_level(ALPHA, 1), 0.0)
    return (
        f"claimed epsilon {EPSILON}, at least {best.epsilon_lower:.2f} ({half} runs a world show "
        f"{most:.2f} at most), "
        f"{'VIOLATED' if any(t.violated for t in tests) else 'no violation'}; standard deviation "
        f"of a count of 25: {spread:.4f}, where Laplace noise of scale 2 has {2 * 2**0.5:.4f}"
    )


def domain_of(project: str, runs: int) -> str:
    """Return how many codes a column has with and without one record of a value of its own, and
    how often that value comes back in rows."""
    first = [["oslo", "f"], ["rome", "m"]] * 100
    task = {"first": first, "second": [*first, [ODD, "f"]], "odd": ODD, "rows": 500}
    found = probed(project, {**task, "epsilon": EPSILON, "runs": runs})
    seen = [sum(world) for world in found["worlds"]]
    warned = "with a warning" if found["warned"] else "without a warning"
    return (
        f"{found['codes'][0]} codes, and {found['codes'][1]} with a record of a value of its own, "
        f"{warned}; that value came back in {seen[1]} of {runs} fits, in {seen[0]} without it"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="fits a world of whole generators")
    runs = parser.parse_args().runs
    looks = {
        "DataSynthesizer 0.1.4, noise of PrivBayes": noise_of_datasynthesizer,
        "smartnoise-synth 1.0.8, domain of MST": lambda: domain_of("smartnoise", runs),
        "dpmm 0.1.9, domain of MST": lambda: domain_of("dpmm", runs),
    }
    for name, look in looks.items():
        try:
            print(f"{name}: {look()}", flush=True)
        except PeerError as error:
            print(f"{name}: skipped: {error}", flush=True)


if __name__ == "__main__":
    main()
