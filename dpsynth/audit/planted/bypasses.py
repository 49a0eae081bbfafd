"""Bugs that learn something of the records without asking: found by record and replay."""

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.planted.bug import LISTED, PlantedBug
from dpsynth.audit.planted.sketch import Fit, Released, inside, released
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.queries import MarginalQuery
from dpsynth.curator.sgd import SgdPlan
from dpsynth.privacy.budget import Budget

Array = NDArray[np.float64]


def _measured(private: PrivateData, name: str = "x0", parts: int = 1) -> Array:
    return private.marginal((name,), sigma=private.sigma_for(private.remaining / parts)).values


def _exact_size(private: PrivateData, rng: np.random.Generator) -> Released:
    del rng
    return released(private, _measured(private), total=inside(private).counter.rows)


def _noisy_size(private: PrivateData, rng: np.random.Generator) -> Released:
    del rng
    values = _measured(private)
    return released(private, values, total=values.sum())


def _domain_of_records(private: PrivateData, rng: np.random.Generator) -> Released:
    del rng
    values = _measured(private)
    return released(private, values[inside(private).counter.counts(("x0",)) > 0])


def _domain_of_answers(private: PrivateData, rng: np.random.Generator) -> Released:
    del rng
    values = _measured(private)
    return released(private, values[values > 1.0])


def _exact_branch(private: PrivateData, rng: np.random.Generator) -> Released:
    del rng
    seen = inside(private).counter.counts(("x1",))[1] > 0
    return released(private, _measured(private, "x1" if seen else "x0"))


def _noisy_branch(private: PrivateData, rng: np.random.Generator) -> Released:
    del rng
    seen = _measured(private, "x2", 2)[1] > 0
    return released(private, _measured(private, "x1" if seen else "x0"))


def _until(private: PrivateData, *, exact: bool) -> Released:
    """Measure again and again until the mean is near: the exact counts, or the answers."""
    answers = [_measured(private, parts=8)]
    sigma = private.sigma_for(private.ledger.capacity / 8)
    truth = inside(private).counter.counts(("x0",))
    while len(answers) < 7:
        mean = np.mean(answers, axis=0)
        if np.abs(mean - (truth if exact else answers[-1])).sum() < sigma:
            break
        answers.append(private.marginal(("x0",), sigma=sigma).values)
    return released(private, np.mean(answers, axis=0))


def _best_of_five(private: PrivateData, *, exact: bool) -> Released:
    sigma = private.sigma_for(private.remaining, queries=5)
    answers = np.stack([private.marginal(("x0",), sigma=sigma).values for _ in range(5)])
    aim = inside(private).counter.counts(("x0",)) if exact else answers.mean(axis=0)
    return released(private, answers[int(np.argmin(np.abs(answers - aim).sum(axis=1)))])


def _scaled(private: PrivateData, *, by: float) -> Released:
    """Charge Laplace noise of one scale and draw it `by` times as large."""
    door, query = inside(private), MarginalQuery(clique=("x0", "x1"))
    event = door.pricing.event(query, private.sigma_for(private.remaining))
    door.ledger.charge("noisy counts", event)
    door.tell("noisy counts", event, query)
    exact = query.evaluate(door.counter)
    scale = getattr(event, "scale", 1.0) * by
    return released(private, exact + door.noise.laplace(scale, exact.shape, law=event.law))


def _by_rows(private: PrivateData, rng: np.random.Generator) -> Released:
    del rng
    return _scaled(private, by=1.0 / inside(private).counter.rows)


def _in_records(private: PrivateData, rng: np.random.Generator) -> Released:
    del rng
    return _scaled(private, by=1.0)


def _batches(private: PrivateData, *, rows: float) -> Released:
    plan = SgdPlan(sample_rate=3.0 / rows, steps=2, clipping_norm=1.0, noise_multiplier=8.0)
    private.reserve([("dpsgd", plan.event)])
    inside(private).ledger.charge("dpsgd", plan.event)
    inside(private).tell("dpsgd", plan.event, plan)
    return released(private, np.zeros(1))


BYPASSES = (
    PlantedBug(
        name="exact number of records",
        defect="The model's size is the exact number of records, which is secret under add/remove.",
        seen=LISTED,
        faulty=Fit(rule=_exact_size, found_by="replay"),
        twin=Fit(rule=_noisy_size, found_by="replay"),
    ),
    PlantedBug(
        name="domain from the records",
        defect="Only values that occur in the records get into the model.",
        seen=LISTED,
        faulty=Fit(rule=_domain_of_records, found_by="replay"),
        twin=Fit(rule=_domain_of_answers, found_by="replay"),
    ),
    PlantedBug(
        name="branch on the records",
        defect="What is measured next depends on an exact count.",
        seen="The general form of stopping and selection rules below.",
        faulty=Fit(rule=_exact_branch, found_by="replay"),
        twin=Fit(rule=_noisy_branch, found_by="replay"),
    ),
    PlantedBug(
        name="early stopping on the private loss",
        defect="The number of rounds is decided by the exact error.",
        seen=LISTED,
        faulty=Fit(
            rule=lambda private, _: _until(private, exact=True), found_by="replay", recordings=20
        ),
        twin=Fit(
            rule=lambda private, _: _until(private, exact=False), found_by="replay", recordings=20
        ),
    ),
    PlantedBug(
        name="best of five by the private loss",
        defect="Five models are fitted, and the one with the least exact error is released.",
        seen="Not seen under a name; what tuning costs is in Papernot & Steinke 2022.",
        faulty=Fit(
            rule=lambda private, _: _best_of_five(private, exact=True),
            found_by="replay",
            budget=Budget(epsilon=8.0, delta=1e-6),
            recordings=20,
        ),
        twin=Fit(
            rule=lambda private, _: _best_of_five(private, exact=False),
            found_by="replay",
            budget=Budget(epsilon=8.0, delta=1e-6),
            recordings=20,
        ),
    ),
    PlantedBug(
        name="noise scale over the number of records",
        defect="Noise meant for shares, of scale 1/n, is added to counts.",
        seen="PrivBayes of DataSynthesizer 0.1.4; see docs/audits/public_versions.md.",
        faulty=Fit(
            rule=_by_rows,
            found_by="record",
            budget=Budget(epsilon=1.0, delta=0.0),
            accountant="pure",
        ),
        twin=Fit(
            rule=_in_records,
            found_by="record",
            budget=Budget(epsilon=1.0, delta=0.0),
            accountant="pure",
        ),
    ),
    PlantedBug(
        name="batch size over the number of records",
        defect="The sampling rate is the batch size over the exact number of records, and public.",
        seen=LISTED,
        faulty=Fit(
            rule=lambda private, _: _batches(private, rows=inside(private).counter.rows),
            found_by="replay",
            accountant="rdp",
        ),
        twin=Fit(
            rule=lambda private, _: _batches(private, rows=12.0),
            found_by="replay",
            accountant="rdp",
        ),
    ),
)
