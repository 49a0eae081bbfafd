"""A public table: it selects and trains for nothing, is named, and cannot ruin a fit."""

from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dpsynth
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.public_records import PublicRecords
from dpsynth.data.encoding import Codec
from dpsynth.data.open_columns import OpenNumber
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.table import Table
from dpsynth.errors import DpsynthError, InvalidValueError
from dpsynth.generators.marginal.public_prior import PublicPrior
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.events import Event
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.noise import ResearchNoise
from dpsynth.privacy.receipt import Receipt
from dpsynth.synthesis import Synthesis
from tests.tables import coded_table, dependent_codes

SIZES = (4, 3, 5, 8, 2)
TRUST = ["errors of the public model", "errors of independent columns"]


def table(rows: int, seed: int) -> Table:
    return coded_table(dependent_codes(rows, SIZES, rng=np.random.default_rng(seed)), SIZES)


PRIVATE, PUBLIC = table(6000, 0), table(4000, 1)


def shuffled(records: Table) -> Table:
    rng, frame = np.random.default_rng(2), records.frame
    for name in frame:
        frame[name] = frame[name].to_numpy()[rng.permutation(len(frame))]
    return Table.from_frame(records.schema, frame)


def mirrored(records: Table) -> Table:
    """Return records whose codes are counted from the other end in every second column."""
    frame = records.frame
    for name, size in zip(frame, SIZES, strict=True):
        frame[name] = size - 1 - frame[name] if name in ("c1", "c3") else frame[name]
    return Table.from_frame(records.schema, frame)


def fit(generator: str | PublicPrior = "public_prior", **more: Any) -> Synthesis:
    wanted: dict[str, Any] = {"epsilon": 0.2, "seed": 0, **more}
    return dpsynth.synthesize(PRIVATE, generator=generator, **wanted)


def distance(model: Synthesis) -> float:
    """Return the mean total variation of pairs from the private records."""
    codec = Codec(schema=PRIVATE.schema)
    real, made = (codec.encode(t).astype(int) for t in (PRIVATE, model.sample(2000)))
    found = []
    for i, j in combinations(range(len(SIZES)), 2):
        shares = [
            np.bincount(c[:, i] * SIZES[j] + c[:, j], minlength=SIZES[i] * SIZES[j]) / len(c)
            for c in (real, made)
        ]
        found.append(0.5 * np.abs(shares[0] - shares[1]).sum())
    return float(np.mean(found))


def labels(model: Synthesis) -> list[str]:
    return [entry.label for entry in model.receipt.entries]


def test_a_table_of_the_same_law_helps_most_where_the_budget_is_small() -> None:
    """Means of three seeds; without a table it is two_stage, to the bit."""
    for epsilon in (0.1, 0.2):
        helped, alone = (
            np.mean([distance(fit(g, epsilon=epsilon, seed=s, **more)) for s in range(3)])
            for g, more in (("public_prior", {"public": PUBLIC}), ("two_stage", {}))
        )
        assert helped < 0.7 * alone
    without, plain = fit(), fit("two_stage")
    assert without.sample(50).frame.equals(plain.sample(50).frame)
    assert without.receipt.to_json() == plain.receipt.to_json()


@pytest.mark.parametrize("mislead", [shuffled, mirrored])
def test_a_misleading_table_does_not_ruin_it(mislead: Any) -> None:
    wrong = [fit(epsilon=1.0, seed=s, public=mislead(PUBLIC)) for s in range(3)]
    alone = np.mean([distance(fit("two_stage", epsilon=1.0, seed=s)) for s in range(3)])
    assert np.mean([distance(m) for m in wrong]) < 1.5 * alone
    assert not any("marginal" in label and TRUST[0] in label for m in wrong for label in labels(m))


def test_the_private_side_pays_as_ever_and_selects_for_nothing() -> None:
    helped = fit(public=PUBLIC, epsilon=1.0)
    receipt = helped.receipt
    assert 0.9 <= receipt.epsilon_spent <= 1.0
    assert [label for label in labels(helped) if "errors" in label] == TRUST
    shares = [e.cost / receipt.capacity for e in receipt.entries if "errors" in e.label]
    assert shares == pytest.approx([0.05, 0.05])
    # Public records cost nothing: ten of them or a thousand, the ledger is charged by its rules.
    assert fit(public=table(500, 3)).receipt.capacity == fit("two_stage").receipt.capacity


def test_the_receipt_names_the_public_table(tmp_path: Path) -> None:
    path = tmp_path / "census.csv"
    PUBLIC.frame.to_csv(path, index=False)
    digest = sha256(path.read_bytes()).hexdigest()
    named = fit(public=path).receipt
    assert named.unprotected == (f"public table 'census.csv', sha256 {digest}",)
    assert Receipt.from_json(named.to_json()) == named
    assert "Not protected: public table 'census.csv'" in named.summary()
    given = fit(public=PUBLIC.frame)
    text = PUBLIC.frame.to_csv(index=False).encode()
    wanted = f"public table 'a table in memory', sha256 {sha256(text).hexdigest()}"
    assert given.receipt.unprotected == (wanted,)
    given.save(tmp_path / "model")
    assert dpsynth.load(tmp_path / "model").receipt == given.receipt
    assert fit().receipt.unprotected == ()


@pytest.mark.parametrize(
    ("public", "sentence"),
    [
        ("none.csv", "none.csv"),
        (PUBLIC.frame.drop(columns="c0"), "unknown column of the table 'c0'"),
        (PUBLIC.frame.assign(c0=99), "column 'c0' has 99"),
    ],
)
def test_a_mistake_is_one_sentence(public: Any, sentence: str) -> None:
    with pytest.raises(DpsynthError, match=sentence) as caught:
        fit(public=public)
    assert caught.value.__notes__ == ["of the public table"]


@pytest.mark.parametrize(
    ("named", "parameters"),
    [
        ("one_way_share", {"one_way_share": 0.0}),
        ("trust_share", {"one_way_share": 0.9}),
        ("trust_share", {"trust_share": 0.16}),
        ("kappa", {"kappa": -1.0}),
        ("kappa", {"kappa": float("nan")}),
        ("largest_clique", {"largest_clique": 0}),
    ],
)
def test_a_hyperparameter_out_of_its_range_is_named(named: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match=named):
        PublicPrior(**parameters)


@pytest.mark.parametrize("public", [PUBLIC, mirrored(PUBLIC)])
def test_the_largest_shares_leave_something_whether_trusted_or_not(public: Table) -> None:
    shares: tuple[dict[str, Any], ...] = ({"trust_share": 0.149}, {"one_way_share": 0.89})
    for parameters in shares:
        fitted = fit(PublicPrior(**parameters), public=public, epsilon=0.02)
        assert fitted.receipt.epsilon_spent == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize(
    ("public", "sentence"),
    [
        ("none.csv", "none.csv"),
        (PUBLIC.frame.drop(columns="c0"), "unknown column of the table 'c0'"),
        (PUBLIC.frame.assign(c0="many"), "values must be numbers"),
        (PUBLIC.frame.assign(c1=99), "column 'c1' has 99"),
    ],
)
def test_a_mistake_costs_nothing_where_the_schema_is_open(
    public: Any, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged: list[str] = []
    charge = Ledger.charge

    def counting(ledger: Ledger, label: str, event: Event) -> None:
        charged.append(label)
        charge(ledger, label, event)

    monkeypatch.setattr(Ledger, "charge", counting)
    columns = (OpenNumber(name="c0", whole=True), *PRIVATE.schema.columns[1:])
    asked = {"schema": OpenSchema(columns=columns), "generator": "public_prior", "epsilon": 1.0}
    with pytest.raises(DpsynthError, match=sentence) as caught:
        dpsynth.synthesize(PRIVATE.frame, public=public, seed=0, **asked)
    assert caught.value.__notes__ == ["of the public table"]
    assert charged == []
    dpsynth.synthesize(PRIVATE.frame, public=PUBLIC, seed=0, **asked)
    assert "bounds of c0" in charged  # the control


def test_who_has_no_use_for_it_says_so_before_anything_is_read() -> None:
    with pytest.raises(InvalidValueError, match="'two_stage', which has no use for one"):
        dpsynth.synthesize("none.csv", generator="two_stage", epsilon=1.0, public="other.csv")


def test_views_name_it_too() -> None:
    private = PrivateData(
        PRIVATE,
        Budget(epsilon=1, delta=1e-9),
        noise=ResearchNoise(rng=np.random.default_rng(0)),
        accountant="gdp",
        public=PublicRecords.of(PUBLIC),
    )
    assert private.allot(0.5).receipt().unprotected == private.receipt().unprotected != ()
    assert private.merged({"c0": (0, 0, 1, 1)}).public is private.public
    model = PublicPrior().fit(private, rng=np.random.default_rng(0))
    assert model.measurements
    assert private.remaining < 1e-6 * private.ledger.capacity
