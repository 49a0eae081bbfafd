"""The page of an attacked release: the regulators' three questions, each with its attacks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dpsynth.report.files import write_files
from dpsynth.report.pages import render

if TYPE_CHECKING:
    from dpsynth.attacks.attack import Rate
    from dpsynth.attacks.questions import Finding


def write_attack_page(
    path: str | Path,
    *,
    synthetic: str,
    questions: "Mapping[str, tuple[str, Sequence[Finding]]]",
    notes: Sequence[str],
    seed: int,
) -> None:
    """Write one HTML page, which needs no other file.

    Args:
        path: where.
        synthetic: name of what was attacked.
        questions: question -> its answer and its findings.
        notes: what a reader has to know beside the numbers.
        seed: of the attacks.

    Raises:
        FileError: a place that is not writable.
    """
    page = render(
        "attacks.html.j2",
        interval=_interval,
        low=_low,
        synthetic=synthetic,
        questions=questions,
        notes=notes,
        seed=seed,
    )
    where = Path(path)
    write_files(where.parent, {where.name: page.encode()}, what="the page")


def _low(finding: "Finding") -> str:
    """Return true positives at few false ones, in words; nothing where the attack has none."""
    measures = finding.result.measures
    if not {"tpr_at_low_fpr", "low_fpr"} <= measures.keys():
        return ""
    return (
        f"{measures['tpr_at_low_fpr']:.1%} ({measures['tpr_at_low_fpr_lower']:.1%} to "
        f"{measures['tpr_at_low_fpr_upper']:.1%}) of members found where "
        f"{measures['low_fpr']:.1%} ({measures['low_fpr_lower']:.1%} to "
        f"{measures['low_fpr_upper']:.1%}) of others are accused"
    )


def _interval(rate: "Rate") -> str:
    return f"{rate.value:.1%} ({rate.lower:.1%} to {rate.upper:.1%})"
