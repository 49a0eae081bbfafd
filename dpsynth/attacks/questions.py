"""Results of several attacks on one release, read together by the regulators' questions."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, final, get_args

from dpsynth.attacks.attack import AttackResult, AttackTarget, Question, Rate
from dpsynth.audit.statistics import holm

if TYPE_CHECKING:
    import numpy as np

    from dpsynth.attacks.attack import Attack


@final
@dataclass(frozen=True, kw_only=True)
class Finding:
    """An attack and what came of it.

    Args:
        attack: what ran.
        result: its result.
        alarm: whether it succeeds more often on used records than on unused ones, among all attacks
            on the release together.
    """

    attack: "Attack"
    result: AttackResult
    alarm: bool

    @property
    def label(self) -> str:
        """The attack's name and the parameters that are not its defaults."""
        return label(self.attack)


def label(attack: "Attack") -> str:
    """Return an attack's name and the parameters that are not its defaults."""
    changed: list[str] = []
    for field in fields(attack):
        value = getattr(attack, field.name)
        if value != field.default:
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            changed.append(f"{field.name} {shown}")
    return attack.name + (f" ({', '.join(changed)})" if changed else "")


def run_attacks(
    attacks: "Sequence[Attack]",
    target: AttackTarget,
    *,
    rng: "np.random.Generator",
    alpha: float = 0.05,
) -> list[Finding]:
    """Return what each attack finds, with alarms that hold at level `alpha` for all together.

    Args:
        attacks: what to run, each with a stream of its own.
        target: the release and what the auditor holds.
        rng: source of the streams.
        alpha: chance of any false alarm.
    """
    results = [a.run(target, rng=r) for a, r in zip(attacks, rng.spawn(len(attacks)), strict=True)]
    alarms = holm([r.p_value for r in results], alpha=alpha)
    return [
        Finding(attack=attack, result=result, alarm=alarm)
        for attack, result, alarm in zip(attacks, results, alarms, strict=True)
    ]


def by_question(findings: Sequence[Finding]) -> dict[Question, list[Finding]]:
    """Return the findings of each question, of questions that some attack bears on."""
    found: dict[Question, list[Finding]] = {}
    for question in get_args(Question):
        chosen = [f for f in findings if f.attack.question == question]
        if chosen:
            found[question] = chosen
    return found


def answer(findings: Sequence[Finding]) -> str:
    """Return what the findings on one question say, in a sentence or two."""
    alarms = [f for f in findings if f.alarm]
    if not alarms:
        most = max(f.result.risk.upper for f in findings)
        return (
            "No attack succeeds significantly more often on used records than on records never "
            f"used. What a release adds may be up to {most:.1%} all the same."
        )
    worst = max(alarms, key=lambda f: (f.result.risk.lower, f.result.risk.value))
    rate, control, risk = worst.result.rate, worst.result.control, worst.result.risk
    return (
        f"Yes: {worst.label} succeeds on {rate.value:.1%} of its trials against used records and "
        f"on {control.value:.1%} of those against records never used. The release adds "
        f"{risk.value:.1%} ({max(risk.lower, 0):.1%} to {risk.upper:.1%})."
    )


def interval(rate: Rate) -> str:
    """Return a rate and its interval in per cent."""
    return f"{100 * rate.value:.1f}% ({100 * rate.lower:.1f} to {100 * rate.upper:.1f})"
