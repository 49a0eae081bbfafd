"""What a curator has answered, in order: a run that was killed goes on without asking again.

Only what was answered is kept, never a count or a noise of its own: a journal is as sensitive as
the model that the answers lead to, and no more. It is always the beginning of one transcript. What
came after it was seen by nobody, since everything is kept before it is handed out; so the rest is
done anew: with the same noise in research mode, with fresh noise in release mode.

A training run is kept at some of its steps, as what its noisy gradients led to. Where it is not
kept to its end, nothing that comes after it is kept either. A run that failed is kept as that: what
its error tells must not be drawn once more.
"""

import io
import json
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import LedgerError
from dpsynth.privacy.event_json import Json, canonical_json, event_to_json
from dpsynth.privacy.events import Event
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.noise import NoiseSource, ResearchNoise

Arrays = Mapping[str, NDArray[Any]]
Write = Callable[[Mapping[str, bytes]], None]
_ROWS = "answers.json"
_NOISE = "noise.json"
_FAILED = "failed"


@final
class Journal:
    """The answers of one door to records.

    Args:
        parts: what was kept by an earlier run; empty at first.
        write: makes all parts durable, whole or not at all.
        noise: the door's source; in research mode its state is kept, too.
    """

    def __init__(
        self,
        parts: Mapping[str, bytes],
        write: Write,
        noise: NoiseSource,
    ) -> None:
        self._parts, self._write, self._noise = dict(parts), write, noise
        self._rows: list[Json] = json.loads(self._parts.get(_ROWS, b"[]"))
        self._at = 0

    @classmethod
    def of(
        cls, ledger: Ledger, parts: Mapping[str, bytes], write: Write, noise: NoiseSource
    ) -> "Journal":
        """Return the journal of a door to records that was asked nothing yet.

        Args:
            ledger: the door's.
            parts, write, noise: as of the journal.

        Raises:
            LedgerError: something was charged already, or rows of units were sampled, which another
                run would sample anew.
        """
        if ledger.entries or ledger.budget.max_rows_per_unit != 1:
            rule = "a run is kept from its first charge on, and with one row a unit"
            raise LedgerError("checkpoint", rule)
        return cls(parts, write, noise)

    def recalled(self, label: str, event: Event) -> list[NDArray[Any]] | None:
        """Return the answers that were kept for the next access, or None: it must be drawn.

        Raises:
            LedgerError: what was kept at this place answers something else.
        """
        if self._at >= len(self._rows):
            return None
        arrays = self._arrays(self._at, self._checked(label, event))
        self._at += 1
        self._catch_up()
        return [arrays[str(i)] for i in range(len(arrays))]

    def keep(self, label: str, event: Event, answers: list[NDArray[Any]]) -> None:
        """Keep the answers of an access before anybody sees them."""
        arrays = {str(i): answer for i, answer in enumerate(answers)}
        self._at += 1
        self._put(self._at - 1, label, event, arrays, complete=True)

    def training(self, label: str, event: Event) -> "KeptTraining":
        """Return the place of a training run that begins now.

        Raises:
            LedgerError: what was kept at this place is something else.
        """
        if self._at < len(self._rows):
            self._checked(label, event)
        self._at += 1
        return KeptTraining(self, self._at - 1, label, event)

    def _checked(self, label: str, event: Event) -> Json:
        row = self._rows[self._at]
        if (row["label"], row["event"]) != (label, event_to_json(event)):
            raise LedgerError(
                label, f"what was kept of the earlier run continues with {row['label']!r}"
            )
        return row

    def _arrays(self, index: int, row: Json) -> dict[str, NDArray[Any]]:
        return {
            name: np.load(io.BytesIO(self._parts[_part(index, name)]), allow_pickle=False)
            for name in row["arrays"]
        }

    def _catch_up(self) -> None:
        """Set the noise of research mode to where it was after the last answer that was kept."""
        if self._at == len(self._rows) and isinstance(self._noise, ResearchNoise):
            self._noise.restore(self._parts[_NOISE].decode())

    def _put(self, index: int, label: str, event: Event, arrays: Arrays, *, complete: bool) -> None:
        before = self._rows[index - 1] if 0 < index <= len(self._rows) else {"complete": True}
        if index > len(self._rows) or not before["complete"]:
            return  # behind a training run that was not kept to its end
        row: Json = {
            "label": label,
            "event": event_to_json(event),
            "arrays": sorted(arrays),
            "complete": complete,
        }
        self._rows[index:] = [row]
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            self._parts[_part(index, name)] = buffer.getvalue()
        self._parts[_ROWS] = canonical_json(self._rows).encode()
        if isinstance(self._noise, ResearchNoise):
            self._parts[_NOISE] = self._noise.state().encode()
        self._write(self._parts)


@final
class KeptTraining:
    """The place of one training run in a journal; made by `Journal.training`."""

    def __init__(self, journal: Journal, index: int, label: str, event: Event) -> None:
        self._journal, self._index, self._label, self._event = journal, index, label, event

    @property
    def research(self) -> bool:
        """Whether the run is in research mode, so that its random states may be kept."""
        return isinstance(self._journal._noise, ResearchNoise)  # pyright: ignore[reportPrivateUsage]

    def recalled(self) -> dict[str, NDArray[Any]] | None:
        """Return what was kept last, or None where nothing was."""
        journal = self._journal
        if self._index >= len(journal._rows):  # pyright: ignore[reportPrivateUsage]
            return None
        found = journal._arrays(self._index, journal._rows[self._index])  # pyright: ignore[reportPrivateUsage]
        journal._catch_up()  # pyright: ignore[reportPrivateUsage]
        return found

    def keep(self, arrays: Arrays, *, complete: bool) -> None:
        """Keep what the steps so far led to; everything in it must be private output or public."""
        self._journal._put(self._index, self._label, self._event, arrays, complete=complete)  # pyright: ignore[reportPrivateUsage]

    def fail(self, step: int) -> None:
        """Keep that the run failed after so many steps, instead of what they led to."""
        self.keep({_FAILED: np.array(step)}, complete=False)

    @property
    def failed(self) -> int | None:
        """The number of steps after which the run failed; None where it did not."""
        rows = self._journal._rows  # pyright: ignore[reportPrivateUsage]
        if self._index >= len(rows) or rows[self._index]["arrays"] != [_FAILED]:
            return None
        found = self._journal._arrays(self._index, rows[self._index])  # pyright: ignore[reportPrivateUsage]
        return int(found[_FAILED])


def _part(index: int, name: str) -> str:
    return f"arrays/{index}/{name}.npy"
