"""What families of DP-SGD that begin with noisy one-ways share: one plan, and those columns."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.data.encoding import Codec
from dpsynth.generators.base import Generator
from dpsynth.generators.neural.autoregressive import DpAutoregressive
from dpsynth.generators.neural.diffusion import DpDiffusion
from dpsynth.generators.neural.dpctgan import DpCtgan
from dpsynth.generators.neural.dpgan import DpGan
from dpsynth.generators.neural.vae import DpVae
from dpsynth.privacy.events import DpSgdEvent, ExponentialEvent, GaussianEvent, GdpEvent
from tests.generators.planted import SIZES, fit, planted_table
from tests.tables import coded_table

TABLE = planted_table()
VAE, CHAIN = DpVae(steps=3, hidden=8, latent=2), DpAutoregressive(steps=3, hidden=8)
FAMILIES = (
    VAE,
    CHAIN,
    DpGan(steps=3, hidden=8, latent=2, batch=16, replays=3),
    DpCtgan(steps=3, hidden=8, latent=2, batch=16, replays=3),
    DpDiffusion(steps=3, hidden=8, diffusion_steps=3),
)


@pytest.mark.slow
@pytest.mark.parametrize("generator", FAMILIES, ids=lambda generator: generator.name)
def test_the_whole_plan_is_reserved_before_anything_is_drawn(generator: Generator) -> None:
    _, private, seen = fit(generator, TABLE, epsilon=1.0)
    labels = [entry.label for entry in private.ledger.entries]
    choices = len(SIZES) if isinstance(generator, DpGan) else 0
    assert labels[:2] == ["one-way marginals", "dpsgd"]
    assert labels[2:] == ["choose what to keep of a column's ties"] * choices
    first, *others = [entry.cost for entry in private.ledger.entries]
    assert first == private.ledger.spent, "the plan is paid for as a whole, at its first entry"
    assert not any(others)
    assert 0.9 < private.ledger.epsilon_spent() <= 1.0
    bought = [GaussianEvent] * len(SIZES) + [DpSgdEvent] + [ExponentialEvent] * choices
    assert [type(o.event) for o in seen] == bought


@pytest.mark.slow
@pytest.mark.parametrize("generator", [VAE, CHAIN], ids=lambda generator: generator.name)
def test_one_way_laws_are_those_measured(generator: Generator) -> None:
    # Three steps have taught the network nothing yet; its columns come from the marginals.
    model, _, _ = fit(generator, TABLE, epsilon=20.0)
    known = Codec(schema=TABLE.schema).encode(TABLE)
    drawn = model.sample_codes(20_000, rng=np.random.default_rng(0))
    for i, size in enumerate(SIZES):
        real, made = (np.bincount(c[:, i], minlength=size) / len(c) for c in (known, drawn))
        assert 0.5 * np.abs(real - made).sum() < 0.02


def test_the_plan_is_the_same_whatever_the_codes() -> None:
    """How many columns have several codes may be an answer, and a plan must not depend on one."""
    plans = []
    for sizes in ((1, 3), (4, 2, 5), (1, 1)):
        codes = np.random.default_rng(0).integers(0, sizes, size=(60, len(sizes)))
        _, private, seen = fit(VAE, coded_table(codes, sizes), epsilon=1.0)
        plans.append(private.ledger.plan)
        spent = sum((o.event.sensitivity / o.event.sigma) ** 2 for o in seen[:-1])  # type: ignore[attr-defined]
        (_, part), _ = private.ledger.plan
        assert isinstance(part, GdpEvent)
        assert 0.999 * part.mu**2 < spent <= part.mu**2
    assert plans[0] == plans[1] == plans[2]
