"""What an observer of a curator is told: public terms only, never an answer."""

from dataclasses import dataclass
from typing import final

from dpsynth.curator.column_queries import ColumnQuery
from dpsynth.curator.queries import Query
from dpsynth.curator.sgd import SgdPlan
from dpsynth.curator.teachers import VotePlan
from dpsynth.privacy.events import Event


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Observation:
    """One access, as told to an observer after its charge and before its noise is drawn.

    Args:
        label: the ledger's label.
        event: what was charged.
        query: what was asked, in public terms; for DP-SGD and votes their plan.
    """

    label: str
    event: Event
    query: Query | ColumnQuery | SgdPlan | VotePlan
