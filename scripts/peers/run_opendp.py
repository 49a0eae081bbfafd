# It runs in the peer's environment.
# pyright: reportMissingImports=false, reportPrivateImportUsage=false, reportArgumentType=false, reportAttributeAccessIssue=false
"""Run OpenDP's AIM or MST on a task: `python run_opendp.py TASK.json OUT.csv`.

Add/remove neighbours; AIM's workload is all triples, everything else is its default. The rho comes
from (epsilon, delta) by the same conversion that the other peers use. At some rho the budget of its
own steps exceeds what it was given by an error of rounding: then a rho smaller by 1e-12 of it is
tried, up to twenty times. Its domains have a null beside the keys; records with one are left out.
"""

import json
import sys
from itertools import combinations
from math import exp, log, log1p
from pathlib import Path
from typing import Any

import opendp.prelude as dp
import polars as pl
from opendp.mod import OpenDPException
from scipy.optimize import brentq, minimize_scalar

NUDGES = 20


def rho_of(epsilon: float, delta: float) -> float:
    """Return the zCDP parameter for (epsilon, delta).

    Reference: Canonne, Kamath & Steinke 2020, proposition 12 (section 3.2), least over alpha.
    """

    def log_delta(rho: float) -> float:
        def bound(log_order: float) -> float:
            less = exp(log_order)  # alpha - 1
            alpha = 1 + less
            return less * (alpha * rho - epsilon) + alpha * log1p(-1 / alpha) - log(less)

        return float(minimize_scalar(bound, bounds=(-8, 16), method="bounded").fun)

    return float(brentq(lambda r: log_delta(r) - log(delta), 1e-12, epsilon + 1, xtol=1e-14))


def release(task: dict[str, Any], rho: float) -> Any:
    """Return the contingency table that costs `rho`."""
    context = dp.Context.compositor(
        data=pl.scan_csv(task["records"]),
        privacy_unit=dp.unit_of(contributions=1),
        privacy_loss=dp.loss_of(rho=rho * (1 + 1e-9), delta=0.0),
    )
    if task["mechanism"] == "aim":
        triples = combinations(task["sizes"], 3)
        algorithm = dp.mbi.AIM(queries=[dp.mbi.Count(by=triple) for triple in triples])
    else:
        algorithm = dp.mbi.MST()
    query = context.query(rho=rho, delta=0.0).select(*task["sizes"])
    keys = {name: list(range(size)) for name, size in task["sizes"].items()}
    return query.contingency_table(keys=keys, algorithm=algorithm).release()


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    dp.enable_features("contrib")
    rho = rho_of(task["epsilon"], task["delta"])
    for nudge in range(NUDGES):
        try:
            table = release(task, rho * (1 - nudge * 1e-12))
        except OpenDPException as error:
            if nudge == NUDGES - 1 or "insufficient budget" not in str(error):
                raise
        else:
            table.synthesize(rows=task["rows"]).drop_nulls().write_csv(sys.argv[2])
            return


if __name__ == "__main__":
    main()
