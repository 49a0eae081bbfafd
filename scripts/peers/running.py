"""An environment a peer, and a process a run: what goes wrong is told, never raised past here."""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from dpsynth.data.table import Table
from dpsynth.errors import DpsynthError, ThirdPartyError
from dpsynth.privacy.calibration import zcdp_rho
from dpsynth.third_party.contract import Order, place_order, take_delivery
from dpsynth.third_party.process import Finished, run_program, surroundings
from peers.contenders import Contender

LABEL = "_label"


class PeerError(Exception):
    """A run that gave no records; the message is one line for the table."""


@final
@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run gave: synthetic records, wall seconds and peak memory of the whole process."""

    table: Table
    seconds: float
    peak_mb: float


def prepare(contender: Contender) -> Path:
    """Return the interpreter of the contender's environment, made from its pins if need be.

    Raises:
        PeerError: it does not install here, or only with a CUDA build of PyTorch.
    """
    if contender.absent:
        raise PeerError(contender.absent)
    environment = contender.environment
    if environment is None:
        return Path(sys.executable)
    try:
        if environment.state != "ready":
            environment.create()
    except DpsynthError as error:
        raise PeerError(_line(error)) from error
    return environment.python


def run(contender: Contender, task: Mapping[str, Any], *, timeout: float) -> Run:
    """Return what the contender makes of `task`, by the contract of docs/third_party.md.

    Args:
        contender: whom to run.
        task: train (a Table), target (a column, or None), rows, epsilon, delta, seed.
        timeout: seconds after which the process and all its children are ended.

    Raises:
        PeerError: no environment, a crash, no result in time, or records outside the domain.
    """
    python, train = prepare(contender), task["train"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [str(python), str(contender.runner), name]
        try:
            place_order(folder, train, _order(contender, task))
            done = _process(command, folder, limit=timeout, ours=contender.project == "ours")
            rng = np.random.default_rng([task["seed"], 4])
            table, _ = take_delivery(
                folder, train.schema, name=contender.name, rows=task["rows"], rng=rng
            )
        except DpsynthError as error:
            raise PeerError(_line(error)) from error
    return Run(table=table, seconds=done.seconds, peak_mb=done.peak_mb)


def _order(contender: Contender, task: Mapping[str, Any]) -> Order:
    """Return what is asked for; of "NAME_label" a NAME that is told what will be predicted."""
    epsilon, delta = task["epsilon"], task["delta"]
    informed = contender.mechanism.endswith(LABEL) and task["target"] is not None
    return Order(
        mechanism=contender.mechanism.removesuffix(LABEL),
        parameters={"label": task["target"]} if informed else contender.parameters,
        epsilon=epsilon,
        delta=delta,
        relation="add_remove",
        rho=zcdp_rho(epsilon, delta) if delta > 0 else None,
        seed=task["seed"],
        rows=task["rows"],
    )


def timed(
    command: Sequence[str], *, log: Path, timeout: float, ours: bool = True
) -> tuple[float, float]:
    """Return the wall seconds and the peak memory in MiB of a process that ran to its end.

    Args:
        command: what to run, in the folder of `log`.
        log: where the end of its output goes.
        timeout: seconds after which the process and all its children are ended.
        ours: whether it runs with this interpreter's paths, and not in a peer's environment.

    Raises:
        PeerError: it failed, or did not end in time.
    """
    try:
        done = _process(command, log.parent, limit=timeout, ours=ours)
    except ThirdPartyError as error:
        raise PeerError(_line(error)) from error
    log.write_text(done.tail)
    return done.seconds, done.peak_mb


def _process(command: Sequence[str], folder: Path, *, limit: float, ours: bool) -> Finished:
    around = os.environ if ours else surroundings(os.environ, seed=0, isolated=True)
    return run_program(command, name="peer", folder=folder, environment=around, limit=limit)


def _line(error: DpsynthError) -> str:
    rule = error.rule if isinstance(error, ThirdPartyError) else str(error)
    return rule if rule.startswith("no result") else f"failed: {rule}"
