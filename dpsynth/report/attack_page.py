"""The page of an attacked release: the regulators' three questions, each with its attacks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from dpsynth.report.files import write_files

if TYPE_CHECKING:
    from dpsynth.audit.attack import Rate
    from dpsynth.audit.questions import Finding


@final
@dataclass(frozen=True, kw_only=True)
class Line:
    """One attack as the page shows it.

    Args:
        label: its name and parameters.
        finding: what ran, what came of it, and whether it is an alarm.
        low: true positives at few false ones, in words; empty where the attack has none.
    """

    label: str
    finding: "Finding"
    low: str


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
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("dpsynth.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["interval"] = _interval
    page = environment.get_template("attacks.html.j2").render(
        synthetic=synthetic,
        questions={
            question: (answer, [_line(f) for f in findings])
            for question, (answer, findings) in questions.items()
        },
        notes=notes,
        seed=seed,
    )
    where = Path(path)
    write_files(where.parent, {where.name: page.encode()}, what="the page")


def _line(finding: "Finding") -> Line:
    measures = finding.result.measures
    low = ""
    if "tpr_at_low_fpr" in measures and "low_fpr" in measures:
        low = (
            f"{measures['tpr_at_low_fpr']:.1%} ({measures['tpr_at_low_fpr_lower']:.1%} to "
            f"{measures['tpr_at_low_fpr_upper']:.1%}) of members found where "
            f"{measures['low_fpr']:.1%} ({measures['low_fpr_lower']:.1%} to "
            f"{measures['low_fpr_upper']:.1%}) of others are accused"
        )
    return Line(label=finding.label, finding=finding, low=low)


def _interval(rate: "Rate") -> str:
    return f"{rate.value:.1%} ({rate.lower:.1%} to {rate.upper:.1%})"
