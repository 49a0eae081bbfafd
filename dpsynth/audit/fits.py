"""Independent runs of a subject on two tables, kept on disk in blocks and never run twice."""

import json
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias, final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from dpsynth.atomic import write_atomically
from dpsynth.audit.failures import LONGEST_REASON, Failure, Kind
from dpsynth.audit.neighbours import NeighbouringTables
from dpsynth.audit.sequential import Part
from dpsynth.audit.subjects import CrashError, MisfitError, Subject
from dpsynth.data.encoding import Codec
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError

BLOCK = 25
MOST_WORKERS = 2

Outcome: TypeAlias = "NDArray[np.int32] | Failure"

_KINDS: dict[int, Kind] = {-1: "crash", -2: "misfit"}


@final
@dataclass(frozen=True, kw_only=True)
class Fits:
    """Runs of a subject on both tables of a pair.

    A block of 25 seeds is one file, named by a hash of the code or command, the records, the
    budget and the seeds; a block that is there is read and not run.

    Args:
        subject: what runs.
        tables: the neighbours.
        epsilon: of the claim; part of the file names.
        folder: where blocks are kept; None keeps them nowhere.
        workers: processes at a time, 1 or 2.
        seed: of the audit; other seeds are other runs.

    Raises:
        InvalidValueError: workers out of range.
    """

    subject: Subject
    tables: NeighbouringTables
    epsilon: float
    folder: Path | None = None
    workers: int = 1
    seed: int = 0
    _held: dict[str, list[Outcome]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= MOST_WORKERS:
            raise InvalidValueError("workers", self.workers, f"1 to {MOST_WORKERS}")

    def outcomes(self, world: int, runs: int, *, part: Part) -> list[Outcome]:
        """Return the outcomes of the first `runs` runs of one part in world 0 or 1."""
        table = (self.tables.first, self.tables.second)[world]
        rows = len(self.tables.first)
        key = [self.subject.identity, self.tables.digest, self.epsilon, self.seed, world, part]
        blocks = range(-(-runs // BLOCK))
        run = partial(_block, self.subject, table, rows)
        found: dict[int, list[Outcome]] = {}
        missing: list[int] = []
        for block in blocks:
            kept = self._read(key, block)
            if kept is None:
                missing.append(block)
            else:
                found[block] = kept
        seeds = [_seeds(key, block) for block in missing]
        with self._pool(len(missing)) as pool:
            made = map(run, seeds) if pool is None else pool.map(run, seeds)
            for block, outcomes in zip(missing, made, strict=True):
                found[block] = outcomes
                self._write(key, block, outcomes)
        whole: list[Outcome] = []
        for block in blocks:
            whole.extend(found[block])
        return whole[:runs]

    def _pool(self, blocks: int) -> AbstractContextManager[Executor | None]:
        if self.workers == 1 or blocks < 2 or self.subject.parallel == "none":
            return nullcontext()
        if self.subject.parallel == "threads":
            return ThreadPoolExecutor(self.workers)
        return ProcessPoolExecutor(self.workers, mp_context=get_context("spawn"))

    def _read(self, key: Sequence[Any], block: int) -> list[Outcome] | None:
        name = _hashed([*key, block])[:40]
        if self.folder is None or not (path := self.folder / f"{name}.npz").is_file():
            return self._held.get(name)
        try:
            with np.load(path, allow_pickle=False) as kept:
                lengths, codes, reasons = kept["lengths"], kept["codes"], kept["reasons"]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None  # damaged: run it again
        ends = np.cumsum(np.maximum(lengths, 0))
        outcomes: list[Outcome] = []
        for n, end, reason in zip(lengths, ends, reasons, strict=True):
            failed = n < 0
            outcomes.append(
                Failure(kind=_KINDS[int(n)], reason=str(reason)) if failed else codes[end - n : end]
            )
        return outcomes

    def _write(self, key: Sequence[Any], block: int, outcomes: list[Outcome]) -> None:
        name = _hashed([*key, block])[:40]
        if self.folder is None:
            self._held[name] = outcomes
            return
        marks = {kind: mark for mark, kind in _KINDS.items()}
        lengths = [marks[o.kind] if isinstance(o, Failure) else len(o) for o in outcomes]
        reasons = [o.reason if isinstance(o, Failure) else "" for o in outcomes]
        codes = [o for o in outcomes if not isinstance(o, Failure)]
        width = len(self.tables.first.schema.names)
        whole = np.concatenate([np.zeros((0, width), dtype=np.int32), *codes])
        buffer = BytesIO()
        np.savez_compressed(
            buffer, lengths=np.array(lengths), codes=whole, reasons=np.array(reasons, dtype=np.str_)
        )
        write_atomically(self.folder / f"{name}.npz", buffer.getvalue())


def _hashed(value: Any) -> str:
    return sha256(json.dumps(value).encode()).hexdigest()


def _seeds(key: Sequence[Any], block: int) -> list[int]:
    """Return seeds that no other world, part or block has."""
    start = int(_hashed([*key, block])[:15], 16)
    return [int(s) for s in np.random.SeedSequence(start).generate_state(BLOCK, np.uint64) >> 2]


def _block(subject: Subject, table: Table, rows: int, seeds: list[int]) -> list[Outcome]:
    """Return one outcome a seed; a function of the module so that processes can be sent it."""
    codec = Codec(schema=table.schema)
    outcomes: list[Outcome] = []
    for seed in seeds:
        outcome: Outcome
        try:
            made = subject.release(table, rows=rows, seed=seed)
            outcome = codec.encode(made).astype(np.int32)
        except CrashError as error:
            outcome = _failure("crash", error)
        except MisfitError as error:
            outcome = _failure("misfit", error)
        outcomes.append(outcome)
    return outcomes


def _failure(kind: Kind, error: Exception) -> Failure:
    return Failure(kind=kind, reason=" ".join(str(error).split())[:LONGEST_REASON])
