"""How often does an audit accuse a correct mechanism? At most alpha of the time, or it lies.

    python scripts/bench_audit_honesty.py [--audits 1000] [--runs 2000] [--only replace]
        [--out table.json]

Each mechanism is recorded on each of the pairs that an audit tries by default, and the branch kept
that an audit would keep; then whole audits (validation, test, verdict on all pairs) are repeated on
fresh noise. The control is the same mechanism with half of its noise, or a selection at twice its
epsilon: a wrong one, which must be accused more often than alpha.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.neighbours import NeighbouringTables, narrow_neighbours, worst_cases
from dpsynth.audit.planted.noises import Faulty
from dpsynth.audit.recording import BRANCHES, recorded
from dpsynth.audit.replay import Replay, Worlds
from dpsynth.audit.statistics import binomial_lower, binomial_upper
from dpsynth.audit.tradeoff import TradeOff, claimed_trade_off
from dpsynth.audit.transcript import SgdStep, Transcript, VoteStep
from dpsynth.audit.verdict import decide
from dpsynth.curator.sgd import SgdPlan
from dpsynth.curator.teachers import VotePlan
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import ComposedEvent, GaussianEvent
from dpsynth.registry import GENERATORS

ALPHA = 0.05
_AT_ONCE = 50
_DELTA = 1e-5

# (generator, accountant): all that are post-processing of recorded answers
FITS = (
    ("uniform", "gdp"),
    ("independent", "gdp"),
    ("independent", "zcdp"),
    ("independent", "pure"),
    ("mwem", "zcdp"),
    ("mwem", "pure"),
    ("privbayes", "zcdp"),
    ("privbayes", "pure"),
    ("mst", "zcdp"),
    ("mst", "gdp"),
    ("mst", "pure"),
    ("aim", "zcdp"),
    ("aim_gdp", "gdp"),
    ("tree", "gdp"),
    ("pairs_first", "gdp"),
    ("residual", "gdp"),
    ("two_stage", "gdp"),
    ("public_prior", "gdp"),
)
# what follows from the relation alone is looked at under replacement for these
REPLACED = (("independent", "gdp"), ("independent", "pure"), ("mst", "zcdp"), ("privbayes", "pure"))
# (sampling rate, noise multiplier): so little noise that half of it could be noticed
TRAININGS = ((0.1, 1.0), (1.0, 4.0))


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Mechanism:
    """A correct mechanism: its transcripts, each with what it claims and between which tables."""

    name: str
    transcripts: tuple[Transcript, ...]
    claims: tuple[TradeOff, ...]
    worlds: tuple[Worlds, ...]
    delta: float

    def accused(self, audits: int, runs: int, *, seed: int, wrong: bool = False) -> int:
        """Return how many of so many audits, of so many test runs a world, find a violation."""
        halved = {"spread": 0.5, "gradients": 0.5, "selections": 2.0} if wrong else {}
        found = np.zeros(audits, dtype=np.bool_)
        streams = np.random.default_rng(seed).spawn(len(self.worlds))
        for transcript, claim, worlds, rng in zip(
            self.transcripts, self.claims, self.worlds, streams, strict=True
        ):
            replay = Replay(transcript, worlds, Faulty(rng=rng, **halved))
            found |= self._violations(replay, claim, audits, runs)
        return int(found.sum())

    def _violations(
        self, replay: Replay, claim: TradeOff, audits: int, runs: int
    ) -> NDArray[np.bool_]:
        # What scores learn is fixed before the runs that they judge, and serves all audits alike.
        replay.learn((runs + 1) // 2)
        found: list[bool] = []
        for start in range(0, audits, _AT_ONCE):
            size = min(_AT_ONCE, audits - start)
            parts = [
                [np.split(replay.scores(world, each * size), size, axis=1) for world in (0, 1)]
                for each in ((runs + 1) // 2, runs)
            ]
            for i in range(size):
                validation, test = ((part[0][i], part[1][i]) for part in parts)
                tests = decide(
                    replay.families,
                    validation,
                    test,
                    claim=claim,
                    delta=self.delta,
                    alpha=ALPHA / len(self.worlds),
                )
                found.append(any(one.violated for one in tests))
        return np.array(found)


def fitted(name: str, accountant: str, relation: Neighbouring) -> Mechanism:
    """Return a generator's mechanism at epsilon 1, recorded on each of the narrow worst cases."""
    delta = 0.0 if accountant == "pure" else _DELTA
    budget = Budget(epsilon=1.0, delta=delta, relation=relation)
    pairs = worst_cases(relation)
    fits = [
        recorded(
            GENERATORS.get(name)(),
            budget,
            accountant=accountant,
            tables=tables,
            noise=Faulty(rng=np.random.default_rng(0)),
            branches=BRANCHES,
            rng=np.random.default_rng(0),
        )
        for tables in pairs.values()
    ]
    transcripts = [fit.transcript for fit in fits]
    return _mechanism(f"{name}, {accountant}", transcripts, pairs, budget, accountant)


def _mechanism(
    name: str,
    transcripts: Sequence[Transcript],
    pairs: Mapping[str, NeighbouringTables],
    budget: Budget,
    accountant: str,
) -> Mechanism:
    return Mechanism(
        name=f"{name}, {budget.relation}",
        transcripts=tuple(transcripts),
        claims=tuple(claimed_trade_off(t.events, budget, accountant) for t in transcripts),
        worlds=tuple(
            Worlds(codes=tables.codes(), domain=tables.domain, relation=budget.relation)
            for tables in pairs.values()
        ),
        delta=budget.delta,
    )


def _session(name: str, step: SgdStep | VoteStep, budget: Budget, accountant: str) -> Mechanism:
    """Return one whose replay takes its own worst case, whatever the records are."""
    pairs = {"corner": narrow_neighbours(budget.relation)}
    return _mechanism(name, [Transcript(steps=(step,))], pairs, budget, accountant)


def trained(rate: float, sigma: float, relation: Neighbouring) -> Mechanism:
    """Return 20 steps of DP-SGD, seen along a canary's gradient."""
    plan = SgdPlan(sample_rate=rate, steps=20, clipping_norm=1.0, noise_multiplier=sigma)
    step = SgdStep(
        label="dpsgd", event=plan.event, plan=plan, sample_rate=rate, sigma=sigma, steps=20
    )
    budget = Budget(epsilon=1.0, delta=_DELTA, relation=relation)
    return _session(f"DP-SGD, rate {rate}", step, budget, "pld")


def voted() -> Mechanism:
    """Return 5 rounds of votes on 100 rows, of which one record turns all."""
    plan, sigma = VotePlan(teachers=10, rounds=5, rows=100), 60.0
    event = ComposedEvent(events=(GaussianEvent(sigma=sigma, sensitivity=10.0),) * 5)
    step = VoteStep(label="teachers", event=event, plan=plan, sigma=sigma, rounds=5)
    budget = Budget(epsilon=1.0, delta=_DELTA)
    return _session("votes of teachers", step, budget, "gdp")


def mechanisms() -> Iterator[Mechanism]:
    """Yield all of them."""
    for name, accountant in FITS:
        yield fitted(name, accountant, Neighbouring.ADD_REMOVE)
    for name, accountant in REPLACED:
        yield fitted(name, accountant, Neighbouring.REPLACE)
    for rate, sigma in TRAININGS:
        yield trained(rate, sigma, Neighbouring.ADD_REMOVE)
    yield voted()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audits", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=2000, help="test runs a world")
    parser.add_argument("--controls", type=int, default=100, help="audits of the wrong ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="mechanisms whose names end in this")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = []
    print("| mechanism | false violations | rate, 95% upper bound | wrong twin accused | seconds |")
    print("|---|---|---|---|---|")
    for mechanism in mechanisms():
        if not mechanism.name.endswith(given.only):
            continue
        start = time.process_time()
        false = mechanism.accused(given.audits, given.runs, seed=given.seed)
        seconds = time.process_time() - start
        true = mechanism.accused(given.controls, given.runs, seed=given.seed + 1, wrong=True)
        upper = float(binomial_upper(false, given.audits, alpha=0.05))
        lower = float(binomial_lower(true, given.controls, alpha=0.05))
        lines.append({"mechanism": mechanism.name, "false": false, "true": true, "upper": upper})
        print(
            f"| {mechanism.name} | {false} of {given.audits} | {upper:.4f} | "
            f"{true} of {given.controls}{'' if lower > ALPHA else ' (*)'} | {seconds:.1f} |",
            flush=True,
        )
    if given.out is not None:
        given.out.write_text(json.dumps(lines, indent=1) + "\n")


if __name__ == "__main__":
    main()
