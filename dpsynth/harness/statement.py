"""What a claim of differential privacy must state, as columns of every row.

A receipt states it for a release. What no receipt covers says so, in the same columns: silence
would read as an assurance. Reference: NIST SP 800-226; OpenDP deployment registry, tier 3.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from dpsynth.harness.cell import Cell
from dpsynth.harness.row import CLAIM, Row
from dpsynth.privacy.statement import (
    ACCESS,
    PUBLIC_DOMAIN,
    SEEDED,
    SIDE_CHANNELS,
    TRUST_MODEL,
    of_budget,
    promise,
)

_PREFIX = "claim_"
_UNKNOWN = "unknown: there is no receipt"
_UNPROTECTED = (
    "metrics, attacks and references read real records; no charge covers the numbers of this row"
)


def stated(rows: Iterable[Row], cell: Cell, receipt: str | None) -> tuple[Row, ...]:
    """Return `rows` with the claim of their cell.

    Args:
        rows: of one cell.
        cell: what they are part of.
        receipt: the receipt of its release as JSON; None for an audit, for what third parties made
            and for a cell that failed.
    """
    found: Mapping[str, str] = json.loads(receipt).get("statement", {}) if receipt else {}
    columns = _released(cell, found) if found else _without_receipt(cell)
    return tuple(replace(row, **columns) for row in rows)


def _released(cell: Cell, found: Mapping[str, str]) -> dict[str, str]:
    """Return the columns of a release, from the statement of its receipt."""
    columns = {name: found[name.removeprefix(_PREFIX)] for name in CLAIM}
    columns["claim_scope"] += f"; {_UNPROTECTED}"
    columns["claim_mechanisms"] += f"; {_versions(cell)}"
    columns["claim_justification"] = _why(cell)
    return columns


def _without_receipt(cell: Cell) -> dict[str, str]:
    """Return the columns of a cell that has no receipt."""
    pair = promise(cell.budget)
    said = {
        "release": (f"{pair} was asked for; the cell failed and released nothing", _UNPROTECTED),
        "audit": (
            f"{pair} is the claim that is tested",
            "simulated releases of worst-case records; no real record was read",
        ),
        "third_party": (f"{pair} was asked for; nobody verified that it holds", _UNPROTECTED),
        "import": (f"{pair} is what its maker says; nobody verified it", _UNPROTECTED),
    }
    guarantee, scope = said[cell.kind]
    return {
        **{f"{_PREFIX}{point}": said for point, said in of_budget(cell.budget).items()},
        "claim_guarantee": guarantee,
        "claim_scope": scope,
        "claim_trust_model": TRUST_MODEL,
        "claim_mechanisms": f"those of {cell.generator.name!r}; {_versions(cell)}",
        "claim_randomness": SEEDED if cell.kind in ("release", "audit") else _UNKNOWN,
        "claim_side_channels": SIDE_CHANNELS,
        "claim_justification": _why(cell),
        "claim_subgroup_error": "not measured by a claim; see the evaluation",
        "claim_access": ACCESS,
        "claim_domain": PUBLIC_DOMAIN if cell.kind == "release" else _UNKNOWN,
        "claim_accounting": f"{cell.generator.accountant or 'own accountant'}; {_UNKNOWN}",
    }


def _why(cell: Cell) -> str:
    if cell.kind == "import":
        return "not stated by its maker"
    return "one of the budgets that an experiment compares; chosen for no release"


def _versions(cell: Cell) -> str:
    libraries = cell.fingerprint.libraries.items()
    return ", ".join(f"{name} {version}" for name, version in libraries) or "versions not known"
