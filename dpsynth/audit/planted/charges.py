"""Bugs between noise and ledger: found on a recording alone."""

import numpy as np

from dpsynth.audit.planted.bug import LISTED, PlantedBug
from dpsynth.audit.planted.sketch import Fit, Released, inside, released
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.queries import MarginalQuery, WorstFitQuery
from dpsynth.privacy.events import ExponentialEvent
from dpsynth.privacy.noise import NoiseSource


def _two_cliques(private: PrivateData, *, charged: int) -> Released:
    """Answer two marginals, of which the ledger hears of `charged`."""
    door = inside(private)
    sigma = private.sigma_for(private.remaining, queries=2)
    answers = []
    for i, name in enumerate(("x0", "x1")):
        query = MarginalQuery(clique=(name,))
        event = door.pricing.event(query, sigma)
        if i < charged:
            door.ledger.charge(name, event)
            door.tell(name, event, query)
        answers.append(query.evaluate(door.counter) + door.pricing.draw(event, (2,)))
    return released(private, np.concatenate(answers))


def _one_noise(private: PrivateData, *, reused: bool) -> Released:
    """Answer two marginals with the same noise, or with two draws."""
    door = inside(private)
    sigma = private.sigma_for(private.remaining, queries=2)
    drawn, answers = None, []
    for name in ("x0", "x1"):
        query = MarginalQuery(clique=(name,))
        event = door.pricing.event(query, sigma)
        door.ledger.charge(name, event)
        door.tell(name, event, query)
        if drawn is None or not reused:
            drawn = door.pricing.draw(event, (2,))
        answers.append(query.evaluate(door.counter) + drawn)
    return released(private, np.concatenate(answers))


def _over_the_budget(private: PrivateData, *, times: int) -> Released:
    """Tell of `times` answers, each of the whole budget, and charge one."""
    door, query = inside(private), MarginalQuery(clique=("x0",))
    event = door.pricing.event(query, private.sigma_for(private.remaining))
    door.ledger.charge("counts", event)
    answers = []
    for i in range(times):
        door.tell(f"counts {i}", event, query)
        answers.append(query.evaluate(door.counter) + door.pricing.draw(event, (2,)))
    return released(private, np.stack(answers))


def _chosen(private: PrivateData, *, monotone: bool) -> Released:
    """Select the worst of two fits, with or without the discount for monotone scores."""
    door = inside(private)
    query = WorstFitQuery(
        candidates=(("x0",), ("x1",)),
        predictions=(np.array([12.0, 0.0]), np.array([0.0, 12.0])),
        penalties=(0.0, 0.0),
    )
    event = ExponentialEvent(epsilon=private.selection_epsilon_for(private.remaining))
    door.ledger.charge("select", event)
    door.tell("select", event, query)
    noise: NoiseSource = door.noise
    chosen = noise.exponential_mechanism(
        query.evaluate(door.counter),
        epsilon=event.epsilon,
        sensitivity=query.sensitivity(private.budget),
        monotone=monotone,
    )
    return released(private, np.array([chosen]))


CHARGES = (
    PlantedBug(
        name="more cliques than charged",
        defect="Two marginals are measured, and one is charged.",
        seen=LISTED,
        faulty=Fit(rule=lambda private, _: _two_cliques(private, charged=1), found_by="record"),
        twin=Fit(rule=lambda private, _: _two_cliques(private, charged=2), found_by="record"),
    ),
    PlantedBug(
        name="composition forgotten",
        defect="Three answers each get the noise of the whole budget, which is charged once.",
        seen="Of the kind of measuring more than is charged.",
        faulty=Fit(rule=lambda private, _: _over_the_budget(private, times=3), found_by="record"),
        twin=Fit(rule=lambda private, _: _over_the_budget(private, times=1), found_by="record"),
    ),
    PlantedBug(
        name="one noise for two answers",
        defect="The same noise is added to two marginals, whose difference is then exact.",
        seen="Not seen under a name; what a generator seeded twice does.",
        faulty=Fit(rule=lambda private, _: _one_noise(private, reused=True), found_by="record"),
        twin=Fit(rule=lambda private, _: _one_noise(private, reused=False), found_by="record"),
    ),
    PlantedBug(
        name="monotone discount",
        defect="The exponential mechanism drops its factor 1/2 on L1 errors, of which one record "
        "can raise one and lower another.",
        seen="A large public library, unnamed in a list of defects, by its formula.",
        faulty=Fit(rule=lambda private, _: _chosen(private, monotone=True), found_by="record"),
        twin=Fit(rule=lambda private, _: _chosen(private, monotone=False), found_by="record"),
    ),
)
