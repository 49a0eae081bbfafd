"""Every exception of the project: typed, carrying its values, one sentence each.

Arguments are positional so that an error survives pickling between processes; `str(error)` is the
sentence that a user sees.
"""

import re
from collections.abc import Iterable
from datetime import date, time, timedelta
from decimal import Decimal
from difflib import get_close_matches
from itertools import islice
from reprlib import Repr

LONGEST = 80
"""Characters of a value, at most, that a sentence shows; the middle of a longer one is left out."""

MOST_NAMES = 12
"""Names, at most, that a sentence lists; of more it says how many there are."""

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxlong = LONGEST
_SHORT.maxother = 2 * LONGEST
_WRITTEN = (date, time, timedelta, Decimal)
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def shown(value: object) -> str:
    """Return `value` as a sentence shows it: short, on one line, without a memory address."""
    try:
        text = str(value) if isinstance(value, _WRITTEN) else _SHORT.repr(value)
        if not isinstance(value, str):
            text = _ADDRESS.sub("", " ".join(text.split()))
    except ValueError:
        return "an integer of more than 4000 digits"  # which Python declines to write out
    return text if len(text) <= 4 * LONGEST else f"{text[: 4 * LONGEST]}..."


def named(name: str) -> str:
    """Return a name or path as it is where that is short and plain, else as `shown`."""
    plain = name.isprintable() and name == name.strip() and 0 < len(name) <= 3 * LONGEST
    return name if plain else shown(name)


class DpsynthError(Exception):
    """Base of every error that this project raises on purpose."""


class InvalidValueError(DpsynthError, ValueError):
    """A parameter has a value that its rule forbids."""

    def __init__(self, field: str, value: object, rule: str) -> None:
        super().__init__(field, value, rule)
        self.field, self.value, self.rule = field, value, rule

    def __str__(self) -> str:
        return f"{self.field} is {shown(self.value)}, but it must be {self.rule}."


class FailedRunError(DpsynthError):
    """A run of a mechanism that gave no records, or none that can be used."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind, text)
        self.kind, self.text = kind, text

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class TooFewRunsError(DpsynthError):
    """An attack's runs of the mechanism, of which too many failed."""

    def __init__(self, what: str, failed: int, tried: int, needed: int, why: str) -> None:
        super().__init__(what, failed, tried, needed, why)
        self.what, self.failed, self.tried, self.needed = what, failed, tried, needed
        self.why = why

    def __str__(self) -> str:
        return (
            f"{self.failed} of {self.tried} {self.what} failed, so that fewer than the "
            f"{self.needed} needed can give records; the first failed with "
            f"{self.why.rstrip('.')!r}."
        )


class ContradictionError(DpsynthError, ValueError):
    """Public knowledge or evidence under which no record at all is possible."""

    def __init__(self, what: str, rule: str) -> None:
        super().__init__(what, rule)
        self.what, self.rule = what, rule

    def __str__(self) -> str:
        return f"{self.what}: {self.rule}."


class RareConditionError(DpsynthError):
    """Rows that satisfy a condition and that sifting did not find within its bound."""

    def __init__(self, wanted: int, found: int, drawn: int) -> None:
        super().__init__(wanted, found, drawn)
        self.wanted, self.found, self.drawn = wanted, found, drawn

    def __str__(self) -> str:
        return (
            f"only {self.found} of {self.wanted} rows that satisfy the conditions were found among "
            f"{self.drawn} of this model, which cannot draw them directly: ask for fewer rows or a "
            "less rare condition, or use a marginal generator."
        )


class UnknownNameError(DpsynthError, LookupError):
    """A name (of a generator, a data set, a column, a TOML key) that nothing answers to."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        super().__init__(kind, name, self.known)

    def __str__(self) -> str:
        # The case of letters is a likely mistake; what is far longer than a name is none.
        likely = {k[:LONGEST].casefold(): k for k in islice(self.known, 5000)}
        close = get_close_matches(self.name[:LONGEST].casefold(), likely, n=3, cutoff=0.5)
        if close:
            hint = f"did you mean {' or '.join(shown(likely[c]) for c in close)}?"
        else:
            more = len(self.known) - MOST_NAMES
            names = [named(name) for name in sorted(self.known)[:MOST_NAMES]] or ["none"]
            hint = f"known: {', '.join(names)}{f' and {more} more' if more > 0 else ''}."
        return f"unknown {self.kind} {shown(self.name)}; {hint}"


class FileError(DpsynthError):
    """A file that is missing, unreadable, or not what it should be."""

    def __init__(self, path: object, rule: str) -> None:
        super().__init__(str(path), rule)
        self.path, self.rule = str(path), rule

    def __str__(self) -> str:
        return f"{named(self.path)}: {self.rule}."


class SchemaError(DpsynthError, ValueError):
    """A schema that contradicts itself; `column` is None when no single column is at fault."""

    def __init__(self, column: str | None, value: object, rule: str) -> None:
        super().__init__(column, value, rule)
        self.column, self.value, self.rule = column, value, rule

    def __str__(self) -> str:
        where = "schema" if self.column is None else f"schema column {shown(self.column)}"
        return f"{where}: {shown(self.value)} is not allowed, {self.rule}."


class DataError(DpsynthError, ValueError):
    """Records that do not fit their schema; `column` is None when the whole table is at fault."""

    def __init__(self, column: str | None, value: object, rule: str) -> None:
        super().__init__(column, value, rule)
        self.column, self.value, self.rule = column, value, rule

    def __str__(self) -> str:
        where = "table" if self.column is None else f"column {shown(self.column)}"
        return f"{where} has {shown(self.value)}, but {self.rule}."


class NoRecordsError(DataError):
    """A table without records, or of which none keeps the schema's constraints; a part of a larger
    table may be like that."""

    def __init__(self, value: str = "no rows") -> None:
        super().__init__(None, value, "at least one is needed")
        self.args = (value,)


class SmallControlError(DpsynthError, ValueError):
    """A control too small for its attacks to find a leak of one used record in ten."""

    def __init__(self, records: int, needed: int) -> None:
        super().__init__(records, needed)
        self.records, self.needed = records, needed

    def __str__(self) -> str:
        return (
            f"the control has {self.records} record{'' if self.records == 1 else 's'}, but "
            f"{self.needed} are needed for these attacks to tell a leak of one training record "
            "in ten."
        )


class OverlapError(DpsynthError, ValueError):
    """Control records that are in the training table, more than coincidence explains."""

    def __init__(self, shared: int, records: int, expected: float) -> None:
        super().__init__(shared, records, expected)
        self.shared, self.records, self.expected = shared, records, expected

    def __str__(self) -> str:
        return (
            f"{self.shared} of the {self.records} control records are in the training table too, "
            f"where coincidence would have about {self.expected:.0f}; a control holds records that "
            "no generator saw, so leave out of it what was used."
        )


class RecordsElsewhereError(DpsynthError, TypeError):
    """Something that needs every record in memory, asked of records that are only counted."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(what, where)
        self.what, self.where = what, where

    def __str__(self) -> str:
        return (
            f"{self.what} needs the records in memory, but they are {self.where}; choose a "
            f"generator that works from counts, or read them into memory (out_of_core=False)."
        )


class ClusterError(DpsynthError):
    """A cluster that does not answer, or that cannot finish what it was asked."""

    def __init__(self, address: str, rule: str) -> None:
        super().__init__(address, rule)
        self.address, self.rule = address, rule

    def __str__(self) -> str:
        return f"cluster {self.address!r}: {self.rule}."


class MissingExtraError(DpsynthError, ImportError):
    """An optional dependency that the requested feature needs is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(feature, extra)
        self.feature, self.extra = feature, extra

    def __str__(self) -> str:
        return f"{self.feature} needs an optional dependency; install dpsynth[{self.extra}]."


class ThirdPartyError(DpsynthError):
    """A program of someone else's, or its environment, that did not do what its contract says."""

    def __init__(self, program: str, rule: str) -> None:
        super().__init__(program, rule)
        self.program, self.rule = program, rule

    def __str__(self) -> str:
        return f"{named(self.program)}: {self.rule}."


class PrivacyError(DpsynthError):
    """Base of every error about the guarantee itself; never to be swallowed."""


class BudgetExceededError(PrivacyError):
    """A charge that the budget does not cover; raised before any noise is drawn."""

    def __init__(self, label: str, requested: float, remaining: float, currency: str) -> None:
        super().__init__(label, requested, remaining, currency)
        self.label, self.requested = label, requested
        self.remaining, self.currency = remaining, currency

    def __str__(self) -> str:
        return (
            f"{shown(self.label)} would cost {self.currency} {self.requested:.6g}, "
            f"but only {self.remaining:.6g} is left of the budget."
        )


class UnsupportedEventError(PrivacyError):
    """An event for which an accountant has no valid bound: unknown never reads as free."""

    def __init__(self, accountant: str, event: object, rule: str) -> None:
        super().__init__(accountant, event, rule)
        self.accountant, self.event, self.rule = accountant, event, rule

    def __str__(self) -> str:
        return f"the {self.accountant} accountant cannot bound {shown(self.event)}: {self.rule}."


class LedgerError(PrivacyError):
    """A ledger whose order or hash chain is broken, or that is used against its plan."""

    def __init__(self, label: str, rule: str) -> None:
        super().__init__(label, rule)
        self.label, self.rule = label, rule

    def __str__(self) -> str:
        return f"ledger entry {shown(self.label)}: {self.rule}."


class NoModelError(DpsynthError):
    """Runs of which none left a model; `receipt` tells what they have spent all the same."""

    def __init__(self, rule: str, epsilon_spent: float, receipt: object) -> None:
        super().__init__(rule, epsilon_spent, receipt)
        self.rule, self.epsilon_spent, self.receipt = rule, epsilon_spent, receipt

    def __str__(self) -> str:
        return (
            f"there is no model, because {self.rule}; what was charged stays spent "
            f"(epsilon {self.epsilon_spent:.6g})."
        )


class ReleaseModeError(PrivacyError):
    """Something that only research mode allows, asked of release mode."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(field, rule)
        self.field, self.rule = field, rule

    def __str__(self) -> str:
        return f"{self.field} is refused in release mode: {self.rule}."


class TrainingError(DpsynthError):
    """A training run that diverged; `receipt` tells what it has spent all the same."""

    def __init__(self, step: int, steps: int, epsilon_spent: float, receipt: object) -> None:
        super().__init__(step, steps, epsilon_spent, receipt)
        self.step, self.steps = step, steps
        self.epsilon_spent, self.receipt = epsilon_spent, receipt

    def __str__(self) -> str:
        return (
            f"training stopped after {self.step} of {self.steps} steps because the loss is not a "
            f"finite number; what was charged stays spent (epsilon {self.epsilon_spent:.6g})."
        )
