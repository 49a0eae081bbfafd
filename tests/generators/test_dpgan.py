"""The critic alone meets records, its public half is exact, and the generator learns through it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.curator.best_fit import BestFitQuery  # noqa: E402
from dpsynth.curator.sgd import SgdPlan  # noqa: E402
from dpsynth.errors import InvalidValueError  # noqa: E402
from dpsynth.generators.baselines.independent import Independent  # noqa: E402
from dpsynth.generators.neural.adversarial import scale_down, stack  # noqa: E402
from dpsynth.generators.neural.decoder_model import DecoderModel  # noqa: E402
from dpsynth.generators.neural.dpgan import DpGan  # noqa: E402
from dpsynth.generators.neural.gumbel import largest, perturbed, straight_through  # noqa: E402
from tests.generators.planted import fit, pair_error, planted_table  # noqa: E402

TABLE = planted_table()
SMALL = DpGan(steps=3, hidden=8, latent=2, batch=16, replays=3)


@pytest.mark.slow
def test_it_learns_what_independent_columns_miss_without_collapse() -> None:
    """With fewer replays than by default, which take most of the time."""
    floor, _, _ = fit(Independent(), TABLE, epsilon=8.0)
    model, _, _ = fit(DpGan(replays=400), TABLE, epsilon=8.0)
    assert pair_error(TABLE, model) < 0.6 * pair_error(TABLE, floor)
    drawn = model.sample_codes(4000, rng=np.random.default_rng(0))
    assert len(np.unique(drawn, axis=0)) > 400, "of 1440 possible rows"


def test_marginals_training_and_choices_are_one_plan_and_four_replays_are_mixed() -> None:
    model, private, seen = fit(SMALL, TABLE)
    assert isinstance(model, DecoderModel)
    assert len(model.decoders) == 4
    choices = ["choose what to keep of a column's ties"] * len(private.domain.shape)
    plan = ["one-way marginals", "dpsgd", *choices]
    assert [label for label, _ in private.ledger.plan] == plan
    assert [entry.label for entry in private.ledger.entries] == plan
    assert [o.label for o in seen][-len(choices) - 1 :] == plan[1:]
    assert {type(o.query) for o in seen[-len(choices) :]} == {BestFitQuery}
    assert private.receipt().epsilon_spent <= 50.0


def test_a_share_for_choices_is_taken_from_the_training() -> None:
    noises: list[float] = []
    for share in (0.01, 0.5):
        _, _, seen = fit(replace(SMALL, choice_share=share), TABLE, epsilon=1.0)
        noises += [o.query.noise_multiplier for o in seen if isinstance(o.query, SgdPlan)]
    assert noises[1] > 1.1 * noises[0]
    with pytest.raises(InvalidValueError, match="epsilon"):
        fit(replace(SMALL, one_way_share=0.6, choice_share=0.6), TABLE, epsilon=1.0)


def test_dependences_decay_in_replays_and_biases_do_not() -> None:
    lasts = []
    for decay in (1e-9, 1e4):
        model, _, _ = fit(replace(SMALL, replays=20, replay_decay=decay), TABLE)
        assert isinstance(model, DecoderModel)
        decoder = model.decoders[0]
        first, last = decoder.weights
        assert np.abs(first).max() > 0.1
        assert np.abs(decoder.biases[-1]).max() > 0.1
        lasts.append(np.abs(last).max())
    assert lasts[0] > 0.1
    assert lasts[1] < 0.1 * lasts[0]


def test_matrices_above_the_norm_are_scaled_to_it_and_others_stay() -> None:
    critic: Any = stack((5, 4, 1), generator=torch.Generator().manual_seed(0))
    critic[0].weight.data.mul_(10.0)
    critic[2].weight.data.mul_(1e-3)
    small = critic[2].weight.clone()
    scale_down(critic, 1.5)
    assert float(torch.linalg.matrix_norm(critic[0].weight.detach(), 2)) == pytest.approx(
        1.5, rel=1e-5
    )
    assert torch.equal(critic[2].weight, small)


def test_draws_are_of_the_softmax_and_carry_its_gradients() -> None:
    """Chi-square at level 1e-3, 20,000 draws, seed 1; uniform draws are rejected."""
    from scipy import stats

    logits = torch.tensor([[0.0, 1.0, 2.0, -1.0, 0.5]], requires_grad=True)
    noisy = perturbed(logits.expand(20_000, 5), torch.Generator().manual_seed(1))
    ones = straight_through(noisy, (3, 2), 0.7)
    codes = largest(noisy, (3, 2))
    assert torch.equal(ones.detach()[:, :3].argmax(1), codes[:, 0])
    law = torch.softmax(logits.detach()[0, :3], 0).double().numpy()
    counts = np.bincount(codes[:, 0].numpy(), minlength=3)
    assert stats.chisquare(counts, law / law.sum() * 20_000).pvalue > 1e-3
    assert stats.chisquare(counts).pvalue < 1e-3
    ones[:, 2].mean().backward()
    assert logits.grad is not None
    assert logits.grad[0, 2] > 0 > logits.grad[0, 0]
    assert not logits.grad[0, 3:].any(), "other attributes have no part in it"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("one_way_share", 1.0),
        ("choice_share", 0.0),
        ("average_decay", 0.0),
        ("clipping_norm", 0.0),
        ("critic_rate", float("nan")),
        ("learning_rate", 0.0),
        ("critic_steps", 0),
        ("hidden", 0),
        ("latent", 0),
        ("batch", 0),
        ("replays", 0),
        ("replay_batch", 0),
        ("replay_rate", 0.0),
        ("replay_decay", -0.1),
        ("critic_noise", float("inf")),
        ("spectral_norm", float("inf")),
        ("temperature", 0.0),
        ("steps", 0),
        ("sample_rate", 1.5),
    ],
)
def test_hyperparameters_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        DpGan(**{field: value})
