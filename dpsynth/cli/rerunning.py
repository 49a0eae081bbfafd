"""What attacks and audits run again: a generator of this library, a factory, or a command."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dpsynth.cli.options import parse_assignments
from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    import numpy as np

    from dpsynth.attacks.attack import Refit
    from dpsynth.audit.subjects import Subject
    from dpsynth.data.table import Table
    from dpsynth.generators.base import Generator


def own_generator(name: str, parameters: dict[str, Any]) -> "Generator | None":
    """Return the generator of this name, or None where it is a factory of somebody's own.

    Args:
        name: a registered name, or module:attribute.
        parameters: hyperparameters of a generator.

    Raises:
        UnknownNameError, InvalidValueError: as of `build_generator`.
    """
    from dpsynth.generators.base import Generator
    from dpsynth.registry import GENERATORS
    from dpsynth.synthesis import build_generator

    if ":" in name:
        found = GENERATORS.get(name)
        if not (isinstance(found, type) and issubclass(found, Generator)):
            return None
    return build_generator(name, parameters)


def foreign(
    generator: str | None, program: str | None, parameters: dict[str, Any], *, epsilon: float
) -> "Subject":
    """Return what runs a command, or else a factory: no generator of this library.

    Args:
        generator: module:attribute of the factory, where there is no command.
        program: the command.
        parameters: hyperparameters, of which neither takes any.
        epsilon: what a command is told that says {epsilon}.

    Raises:
        InvalidValueError: parameters, or a command or factory that cannot be run.
    """
    from dpsynth.audit.subjects import FitSample, Program

    if parameters:
        what = "a factory" if program is None else "a command"
        raise InvalidValueError("--set", parameters, f"left out for {what}, which takes none")
    if program is not None:
        return Program(command=program, epsilon=epsilon)
    assert generator is not None
    return FitSample(factory=generator)


def refit_of(
    generator: str | None,
    program: str | None,
    assignments: Sequence[str],
    *,
    epsilon: float | None,
    delta: float,
) -> "Refit | None":
    """Return what runs again the mechanism that the options name, or None where they name none.

    Args:
        generator: a registered name, or module:attribute of a generator or a factory.
        program: a command that turns {input} into {output}.
        assignments: hyperparameters as "name=value".
        epsilon: the budget, where the mechanism is told of one.
        delta: of a generator of this library.

    Raises:
        InvalidValueError: options that contradict one another, or lack what they need.
    """
    from dpsynth.harness.refit import mechanism
    from dpsynth.privacy.budget import Budget

    if epsilon is not None:
        Budget(epsilon=epsilon, delta=delta)  # refuses what is out of range before data are read
    parameters = parse_assignments(tuple(assignments))
    if program is not None:
        if generator is not None:
            raise InvalidValueError("--command", program, "left out where --generator is given")
        if epsilon is None and "{epsilon}" in program:
            raise InvalidValueError("--epsilon", None, "given where --command says {epsilon}")
    elif generator is None:
        return None
    own = None if generator is None else own_generator(generator, parameters)
    if own is None:
        return _again(foreign(generator, program, parameters, epsilon=epsilon or 0.0))
    if epsilon is None:
        raise InvalidValueError("--epsilon", None, "given together with --generator")
    return mechanism(own, epsilon=epsilon, delta=delta)


def _again(subject: "Subject") -> "Refit":
    def release(train: "Table", *, rng: "np.random.Generator") -> "Table":
        return subject.release(train, rows=len(train), seed=int(rng.integers(2**31)))

    return release
