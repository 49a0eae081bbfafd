"""What a differential-privacy claim must state, filled in from a receipt.

Where the receipt cannot know, the statement says so: silence would read as an assurance.
Reference: NIST SP 800-226; OpenDP deployment registry, tier 3.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dpsynth.privacy.accountant import sampling_distance
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.failure import failure

if TYPE_CHECKING:
    from dpsynth.privacy.receipt import Receipt

# What claims state also where no receipt does.
TRUST_MODEL = "central: whoever runs the program sees the records"
SIDE_CHANNELS = "timing, memory and access patterns are not protected"
SEEDED = "seeded floating-point noise (research mode): not for release"
PUBLIC_DOMAIN = "bounds, categories and bins are those of a schema declared public"
_NOT_STATED = "not stated"
ACCESS = f"{_NOT_STATED}: who else can see the records is outside the program"

_FREE = {
    "model": (
        "rows of what was released cost nothing, however many and however chosen: conditional, "
        "balanced, re-weighted and counterfactual ones too, but for copies of real records"
    ),
    "answers": (
        "what is computed from the answers alone costs nothing more; no model was released, and "
        "what synthetic records have spent on the same people adds up with this"
    ),
}
POST_PROCESSING = "post_processing"
"""The point that receipts of earlier versions do not state."""


def claim_statement(receipt: "Receipt") -> Mapping[str, str]:
    """Return the points of a claim as sentences, in the order of the guidance."""
    mechanisms = sorted({type(entry.event).__name__ for entry in receipt.entries})
    unprotected = "; ".join(receipt.unprotected) or "none declared"
    return {
        **of_budget(receipt.budget),
        "guarantee": guarantee_sentence(receipt, receipt.epsilon_stated),
        "scope": (
            f"the {len(receipt.entries)} charges of this ledger; other releases, tuning and "
            "evaluation on the same records are not included unless they are among them"
        ),
        POST_PROCESSING: _FREE[receipt.releases],
        "trust_model": TRUST_MODEL,
        "mechanisms": f"{', '.join(mechanisms) or 'none'}; {receipt.reference}",
        "randomness": _randomness(receipt),
        "side_channels": SIDE_CHANNELS,
        "justification": receipt.justification or _NOT_STATED,
        "subgroup_error": "not part of a receipt; see the evaluation",
        "access": ACCESS,
        "domain": f"{PUBLIC_DOMAIN}; unprotected: {unprotected}",
        "accounting": (
            f"{receipt.accountant}: {receipt.currency} {receipt.spent!r} of {receipt.capacity!r}"
        ),
    }


def of_budget(budget: Budget) -> dict[str, str]:
    """Return the points that a budget decides: "unit" and "relation"."""
    relation = "one unit is added or removed; the number of units is secret"
    if budget.relation is Neighbouring.REPLACE:
        relation = "one unit is replaced by another; the number of units is public"
    return {
        "unit": f"one {budget.unit}, at most {budget.max_rows_per_unit} row(s) each",
        "relation": relation,
    }


def promise(budget: Budget) -> str:
    """Return what a budget promises, with all digits of its numbers."""
    return f"({float(budget.epsilon)!r}, {float(budget.delta)!r})-differential privacy"


def guarantee_sentence(receipt: "Receipt", spent: str) -> str:
    """Return what the receipt promises.

    Args:
        receipt: the receipt.
        spent: the epsilon that was spent; receipts of earlier versions state all its digits.
    """
    return f"{promise(receipt.budget)}; epsilon {spent} was spent"


def _randomness(receipt: "Receipt") -> str:
    if receipt.not_for_release:
        return SEEDED
    events = [entry.event for entry in receipt.entries]
    distance, failed = sampling_distance(events), failure(events)
    said = f"the system's randomness; total distance from the stated laws {distance!r}"
    return f"{said}; answers fail with probability {failed!r}" if failed > 0 else said
