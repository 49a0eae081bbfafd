"""A network that DP-SGD cannot train is refused by name, and nothing is spent, at every door."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

import dpsynth
from dpsynth.curator.checked_network import CheckedNetwork
from dpsynth.curator.observation import Observation
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.sgd import SgdPlan
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError, LedgerError, UnsupportedEventError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.noise import NoiseSource, ReleaseNoise, ResearchNoise
from tests.cli.running import runner
from tests.curator.own_network import WRONG, OwnNetwork, losses, network
from tests.doors import check_sentence, counted_charges
from tests.tables import coded_table

SIZES = (2, 3)
TABLE = coded_table(np.zeros((30, 2), dtype=int), SIZES)
PLAN = SgdPlan(sample_rate=0.1, steps=10, clipping_norm=1.0, noise_multiplier=3.0)
OWN = "tests.curator.own_network:OwnNetwork"


def door(
    relation: Neighbouring = Neighbouring.ADD_REMOVE,
    *,
    noise: NoiseSource | None = None,
    accountant: str = "pld",
    observer: Callable[[Observation], None] | None = None,
) -> PrivateData:
    return PrivateData(
        TABLE,
        Budget(epsilon=8.0, delta=1e-9, relation=relation),
        noise=noise or ResearchNoise(rng=np.random.default_rng(0)),
        accountant=accountant,
        observer=observer,
    )


def checked(
    *, norm: float = PLAN.clipping_norm, domain: Domain | None = None, wrong: str = ""
) -> CheckedNetwork:
    make, loss, _ = WRONG.get(wrong, (network, losses, ""))
    domain, rng = domain or door().domain, np.random.default_rng(5)
    return CheckedNetwork(make(), loss, clipping_norm=norm, domain=domain, rng=rng)


@pytest.mark.parametrize("relation", list(Neighbouring))
@pytest.mark.parametrize("release", [False, True], ids=["research", "release"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_network_leaves_the_ledger_empty(
    wrong: str, release: bool, relation: Neighbouring
) -> None:
    private = door(relation, noise=ReleaseNoise() if release else None)
    private.reserve([("dpsgd", PLAN.event)])
    with pytest.raises(InvalidValueError, match=WRONG[wrong][2]):
        private.dpsgd(PLAN, checked(wrong=wrong), rows=30.0)
    assert private.ledger.entries == ()
    assert private.receipt().epsilon_spent == 0.0
    private.dpsgd(PLAN, checked(), rows=30.0)  # mended, the plan is still there
    assert [entry.label for entry in private.ledger.entries] == ["dpsgd"]


@pytest.mark.parametrize("relation", ["add_remove", "replace"])
@pytest.mark.parametrize("wrong", ["", *WRONG])
def test_python_and_the_command_refuse_it_before_anything_is_reserved(
    wrong: str,
    relation: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    charges = counted_charges(monkeypatch)
    TABLE.frame.to_csv("d.csv", index=False)
    Path("s.toml").write_text(TABLE.schema.to_toml(), encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    words = f"synthesize d.csv --schema s.toml --generator {OWN} --epsilon 1 --out o.csv --seed 0"
    command = [*words.split(), "--relation", relation, "--set", f"wrong={wrong}"]

    def synthesized() -> object:
        generator = OwnNetwork(wrong=wrong)
        return dpsynth.synthesize(
            "d.csv", schema="s.toml", generator=generator, epsilon=1.0, relation=relation, seed=0
        )

    if not wrong:
        synthesized()
        assert charges == ["reserve", "charge"]
        assert runner(capsys)(*command)[0] == 0
        assert charges == ["reserve", "charge"] * 2
        return
    with pytest.raises(InvalidValueError, match=WRONG[wrong][2]) as refusal:
        synthesized()
    code, complaint = runner(capsys)(*command)
    assert (code, complaint) == (2, f"dpsynth: {check_sentence(refusal.value)}\n")
    assert charges == [], "no budget is reserved or spent"
    assert sorted(tmp_path.iterdir()) == before, "nothing is written"


@pytest.mark.parametrize("rows", [0.0, -3.0, float("nan"), float("inf")])
def test_the_number_of_rows_is_checked_before_the_charge(rows: float) -> None:
    private = door()
    private.reserve([("dpsgd", PLAN.event)])
    with pytest.raises(InvalidValueError, match="rows"):
        private.dpsgd(PLAN, checked(), rows=rows)
    assert private.ledger.entries == ()


@pytest.mark.parametrize("norm", [0.0, -1.0, float("nan"), float("inf")])
def test_a_network_is_not_checked_for_a_norm_that_no_plan_has(norm: float) -> None:
    with pytest.raises(InvalidValueError, match="clipping_norm"):
        checked(norm=norm)


def test_a_network_that_was_checked_for_something_else_is_refused() -> None:
    private = door()
    private.reserve([("dpsgd", PLAN.event)])
    other = Domain(sizes={"c0": 2, "c1": 4})
    with pytest.raises(InvalidValueError, match=r"network .*one checked for"):
        private.dpsgd(PLAN, checked(domain=other), rows=30.0)
    with pytest.raises(InvalidValueError, match=r"clipping_norm is 2\.0, but it must be 1\.0"):
        private.dpsgd(PLAN, checked(norm=2.0), rows=30.0)
    assert private.ledger.entries == ()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("wrong", ["mixing layer", "mixing loss"])
def test_what_mixes_records_of_few_codes_is_named_whatever_the_trial_rows(
    wrong: str, seed: int
) -> None:
    make, loss, said = WRONG[wrong]
    domain, rng = Domain(sizes={"c0": 2, "c1": 1}), np.random.default_rng(seed)
    with pytest.raises(InvalidValueError, match=said):
        CheckedNetwork(make(), loss, clipping_norm=1.0, domain=domain, rng=rng)


def test_what_was_checked_is_not_copied() -> None:
    with pytest.raises(TypeError):
        copy.deepcopy(checked())


def test_dpsgd_is_charged_as_a_whole_and_only_where_it_has_a_bound() -> None:
    with pytest.raises(UnsupportedEventError):
        door(accountant="zcdp").dpsgd(PLAN, checked(), rows=30.0)
    seen: list[Observation] = []
    private = door(observer=seen.append)
    private.reserve([("total", private.count_event(sigma=50.0)), ("dpsgd", PLAN.event)])
    with pytest.raises(LedgerError):
        private.dpsgd(PLAN, checked(), rows=30.0)
    private.count(sigma=50.0, label="total")
    session = private.dpsgd(PLAN, checked(), rows=30.0)
    assert session.plan is PLAN
    assert [o.label for o in seen] == ["total", "dpsgd"]
    assert seen[1].query is PLAN
    with pytest.raises(LedgerError):
        private.dpsgd(PLAN, checked(), rows=30.0)


def test_dpsgd_is_refused_where_a_unit_has_several_rows() -> None:
    table = coded_table(np.zeros((6, 2), dtype=int), SIZES, unit="person", max_rows_per_unit=2)
    budget = Budget(epsilon=8, delta=1e-9, unit="person", max_rows_per_unit=2)
    noise = ResearchNoise(rng=np.random.default_rng(0))
    private = PrivateData(table, budget, noise=noise, accountant="pld")
    with pytest.raises(UnsupportedEventError, match="several rows"):
        private.dpsgd(PLAN, checked(), rows=30.0)
    with pytest.raises(UnsupportedEventError, match="several rows"):
        private.reserve([("count", private.count_event(sigma=9.0)), ("dpsgd", PLAN.event)])
    private.reserve([("count", private.count_event(sigma=9.0))])  # nothing was reserved before
