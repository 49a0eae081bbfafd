"""The DP-SGD session: the plan is a ceiling, the batch is Poisson, the noise has its scale."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from dpsynth.curator.checked_network import CheckedNetwork
from dpsynth.curator.sgd import SgdPlan, SgdSession, rate_of
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError, PrivacyError, TrainingError
from dpsynth.privacy.noise import NoiseSource, ReleaseNoise, ResearchNoise, noise_grid

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

DOMAIN = Domain(sizes={"a": 2, "b": 3})
ALPHA = 1e-3


class Affine(nn.Module):
    """One trainable vector through a Linear layer: a record's gradient is chosen by its codes."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.layer = nn.Linear(2, outputs, bias=False)

    def forward(self, codes):
        return self.layer(codes.float()).sum(1)


def linear_loss(module, codes, generator):
    return module(codes)


def codes_of(n: int, seed: int = 0):
    return np.random.default_rng(seed).integers(0, [2, 3], size=(n, 2)).astype(np.uint8)


def plan(**changes) -> SgdPlan:
    fields = {"sample_rate": 0.2, "steps": 5, "clipping_norm": 1.0, "noise_multiplier": 1.5}
    return SgdPlan(**(fields | changes))


def session(
    the_plan: SgdPlan,
    *,
    module: nn.Module | None = None,
    loss=linear_loss,
    rows=100.0,
    n: int = 100,
    noise: NoiseSource | None = None,
    codes=None,
) -> SgdSession:
    norm, rng = the_plan.clipping_norm, np.random.default_rng(5)
    module = Affine() if module is None else module
    network = CheckedNetwork(module, loss, clipping_norm=norm, domain=DOMAIN, rng=rng)
    return SgdSession(
        codes=codes_of(n) if codes is None else codes,
        network=network,
        plan=the_plan,
        rows=rows,
        noise=noise or ResearchNoise(rng=np.random.default_rng(0)),
        receipt=lambda: SimpleNamespace(epsilon_spent=0.75),  # pyright: ignore
    )


def attached(the_plan: SgdPlan, *, outputs=1, **options):
    module = Affine(outputs)
    return session(the_plan, module=module, **options), module.layer.weight


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sample_rate", 0.0),
        ("sample_rate", 1.5),
        ("steps", 0),
        ("clipping_norm", 0.0),
        ("clipping_norm", float("inf")),
        ("noise_multiplier", float("nan")),
        ("noise_multiplier", -1.0),
    ],
)
def test_a_plan_refuses_what_would_spend_nothing_or_everything(field: str, value: float) -> None:
    with pytest.raises(InvalidValueError, match=field):
        plan(**{field: value})


@pytest.mark.parametrize("sampling", ["shuffle", "weighted", "fixed"])
def test_a_plan_refuses_a_sampler_that_is_not_poisson(sampling: str) -> None:
    with pytest.raises(InvalidValueError, match=f"sampling is '{sampling}'.*'poisson'"):
        plan(sampling=sampling)


def test_a_batch_larger_than_the_data_is_refused() -> None:
    assert rate_of(50, rows=200.0) == 0.25
    for batch_size in (201, 0, float("nan")):
        with pytest.raises(InvalidValueError, match=r"batch_size is .*at most the 200 rows"):
            rate_of(batch_size, rows=200.0)


def test_steps_beyond_the_plan_are_refused_even_after_an_exception() -> None:
    calls = []

    def failing(module, codes, generator):
        calls.append(1)
        if len(calls) > 12:
            raise RuntimeError("the loss broke")
        return module(codes)

    made, _ = attached(plan(steps=3), loss=failing)
    calls.extend([1] * 12)
    for _ in range(3):
        calls.append(1)
        with pytest.raises(RuntimeError):
            made.step()
    del made

    made, weight = attached(plan(steps=3, sample_rate=1.0))
    broken = made._network.clipped
    for _ in range(2):
        made.step()
    broken.loss = lambda m, c, g: _boom(m, c)
    with pytest.raises(RuntimeError):
        made.step()
    broken.loss = linear_loss
    assert made.steps_taken == 3
    weight.grad = None
    with pytest.raises(PrivacyError, match="all 3 steps"):
        made.step()
    assert weight.grad is None


def _boom(module, codes):
    if len(codes) > 20:  # the records, not the trial rows
        raise RuntimeError("the loss broke")
    return module(codes)


def test_a_session_cannot_be_pickled_and_shows_no_record() -> None:
    made = session(plan())
    with pytest.raises(TypeError):
        pickle.dumps(made)
    assert "array" not in repr(made)


class Recorder(NoiseSource):
    """A noise source that remembers what it was asked for, and adds nothing."""

    mode = "research"

    def __init__(self) -> None:
        self.asked: list[tuple[str, float, object]] = []
        self.mask: np.ndarray | None = None

    def bernoulli(self, probability, size):
        self.asked.append(("bernoulli", probability, size))
        return np.ones(size, bool) if self.mask is None else self.mask

    def normal(self, sigma, size):
        self.asked.append(("normal", sigma, size))
        return np.zeros(size)

    def _never(self, *args, **kwargs):
        raise AssertionError("not part of DP-SGD")

    gaussian = laplace = words = exponential_draws = report_noisy_max = _never


def test_each_step_samples_every_record_and_noises_every_parameter() -> None:
    noise = Recorder()
    made, weight = attached(plan(clipping_norm=0.5, noise_multiplier=3.0), noise=noise)
    made.step()
    assert noise.asked == [("bernoulli", 0.2, 100), ("normal", 1.5, 2)]
    del weight


def test_the_divisor_is_the_expected_batch_not_the_realised_one() -> None:
    codes = codes_of(100)
    noise = Recorder()
    made, weight = attached(plan(clipping_norm=1e6), noise=noise, codes=codes, rows=80.0)
    noise.mask = np.arange(100) < 37
    made.step()
    expected = codes[:37].astype(float).sum(0) / (0.2 * 80.0)
    assert weight.grad is not None
    np.testing.assert_allclose(weight.grad[0].numpy(), expected, rtol=1e-5)


def test_an_empty_batch_gives_noise_alone() -> None:
    noise = Recorder()
    made, weight = attached(plan(), noise=noise)
    noise.mask = np.zeros(100, bool)
    made.step()
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) == 0.0


def test_a_batch_larger_than_memory_is_summed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, weight = attached(plan(clipping_norm=0.7), noise=Recorder())
    whole.step()
    assert weight.grad is not None
    expected = weight.grad.clone()
    seen: list[int] = []

    def counting(module, codes, generator):
        seen.append(len(codes))
        return module(codes)

    pieces, weight = attached(plan(clipping_norm=0.7), noise=Recorder(), loss=counting)
    monkeypatch.setattr("dpsynth.curator.sgd._BATCH_BYTES", 32 * pieces._network.bytes_per_record)
    seen.clear()
    pieces.step()
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, expected)
    assert [n for n in seen if n > 6] == [32, 32, 32]
    assert seen[-1] == 4


def test_a_loss_that_is_not_finite_stops_with_the_receipt() -> None:
    made, weight = attached(plan())
    made.step()
    with torch.no_grad():
        weight.fill_(torch.nan)
    with pytest.raises(TrainingError, match=r"after 1 of 5 steps.*epsilon 0\.75") as caught:
        made.step()
    assert caught.value.receipt is not None
    assert made.steps_taken == 1


def test_the_trial_loss_is_that_of_rows_that_are_no_records() -> None:
    found = []
    for seed in (0, 1):
        torch.manual_seed(0)
        made, weight = attached(plan(), codes=codes_of(50, seed))
        found.append(made.trial_loss())
        made.step()
        with torch.no_grad():
            weight.mul_(2.0)
        assert made.trial_loss() == pytest.approx(2.0 * found[-1])
    assert found[0] == found[1] != 0.0


def test_one_record_with_a_nan_loss_neither_stops_nor_poisons() -> None:
    def poisoned(module, codes, generator):
        return module(codes) * torch.where(codes[:, 1] == 7, torch.nan, 1.0)

    codes = codes_of(50)
    codes[3, 1] = 7  # outside the domain: no trial row ever has it
    made, weight = attached(plan(clipping_norm=1e6), loss=poisoned, codes=codes, noise=Recorder())
    made.step()
    assert weight.grad is not None
    rest = np.delete(codes, 3, axis=0).astype(float).sum(0) / 20.0
    np.testing.assert_allclose(weight.grad[0].numpy(), rest, rtol=1e-5)


def batch_sizes(noise: NoiseSource, draws: int) -> np.ndarray:
    """Return realised batch sizes of n = 40, q = .2, read from the sum of a constant gradient."""
    codes = np.ones((40, 2), np.uint8)
    the_plan = plan(steps=draws, clipping_norm=1e6, noise_multiplier=1e-12)
    made, weight = attached(the_plan, codes=codes, noise=noise, rows=1.0)
    sizes = []
    for _ in range(draws):
        made.step()
        assert weight.grad is not None
        sizes.append(round(float(weight.grad[0, 0]) * 0.2))
    return np.array(sizes)


def binomial_p_value(sizes: np.ndarray) -> float:
    edges = np.arange(4, 13)  # tails of Binomial(40, .2) pooled below 4 and above 12
    observed = np.histogram(np.clip(sizes, 3, 13), bins=np.arange(3, 15))[0]
    inner = stats.binom.pmf(edges, 40, 0.2)
    ends = stats.binom.cdf(3, 40, 0.2), stats.binom.sf(12, 40, 0.2)
    expected = np.concatenate([ends[:1], inner, ends[1:]]) * len(sizes)
    return float(stats.chisquare(observed, expected).pvalue)


class FixedSize(Recorder):
    """The planted bug: batches of a fixed size, accounted as if they were Poisson."""

    def __init__(self) -> None:
        super().__init__()
        self._rng = np.random.default_rng(8)

    def bernoulli(self, probability, size):
        chosen = self._rng.permutation(size) < round(probability * size)
        return np.asarray(chosen)


@pytest.mark.statistical
@pytest.mark.parametrize("noise", [ResearchNoise(rng=np.random.default_rng(8)), ReleaseNoise()])
def test_batch_sizes_follow_the_poisson_sampling_law(noise: NoiseSource) -> None:
    # alpha 1e-3, 400 batches, seed 8
    assert binomial_p_value(batch_sizes(noise, 400)) > ALPHA


@pytest.mark.statistical
def test_batches_of_a_fixed_size_are_rejected() -> None:
    assert binomial_p_value(batch_sizes(FixedSize(), 400)) < ALPHA


class Silent(Recorder):
    """Release mode without its noise: what is left is the sum that noise is added to."""

    mode = "release"


@pytest.mark.parametrize("norm", [1e-3, 1.0, 40.0])
@pytest.mark.parametrize("multiplier", [0.3, 8.0, 1e4, 1e7])
def test_release_sums_lie_on_the_grid_of_their_noise_and_within_the_norm(
    norm: float, multiplier: float
) -> None:
    made = session(plan(clipping_norm=norm, noise_multiplier=multiplier), noise=Silent())
    grid = noise_grid(multiplier * norm)
    rng = np.random.default_rng(3)
    for size in (2, 1000, 100_000):
        rest, record = rng.normal(0.0, 100.0 * norm, size), rng.normal(size=size)
        record *= norm / np.linalg.norm(record)
        sums = made._noisy(rest.copy()), made._noisy(rest + record)
        for found in sums:
            assert (np.rint(found / grid) * grid == found).all()
        assert np.linalg.norm(sums[1] - sums[0]) <= norm


def test_release_sums_are_as_good_as_those_of_research_at_ordinary_noise() -> None:
    made = session(plan(clipping_norm=1.0, noise_multiplier=8.0), noise=Silent())
    total = np.random.default_rng(3).normal(0.0, 1.0, 100_000)
    np.testing.assert_allclose(made._noisy(total.copy()), total, rtol=5e-4, atol=1e-6)


class Weighted(Recorder):
    """The planted bug: batches of the right size on average, with some records more often."""

    def __init__(self) -> None:
        super().__init__()
        self._rng = np.random.default_rng(9)

    def bernoulli(self, probability, size):
        weights = np.where(np.arange(size) < size // 2, 1.4, 0.6)
        return self._rng.random(size) < probability * weights


def halves_p_value(noise: NoiseSource, draws: int) -> float:
    """Return the p-value that both halves of the records join equally often; q = .2, n = 40."""
    codes = np.repeat(np.eye(2, dtype=np.uint8), 20, axis=0)
    the_plan = plan(steps=draws, clipping_norm=1e6, noise_multiplier=1e-12)
    made, weight = attached(the_plan, codes=codes, noise=noise, rows=1.0)
    joined = np.zeros(2)
    for _ in range(draws):
        made.step()
        assert weight.grad is not None
        joined += np.rint(weight.grad[0].numpy() * 0.2)
    return float(stats.binomtest(int(joined[0]), int(joined.sum())).pvalue)


@pytest.mark.statistical
@pytest.mark.parametrize("noise", [ResearchNoise(rng=np.random.default_rng(9)), ReleaseNoise()])
def test_every_record_joins_equally_often(noise: NoiseSource) -> None:
    # alpha 1e-3, 200 batches, seed 9
    assert halves_p_value(noise, 200) > ALPHA


@pytest.mark.statistical
def test_a_weighted_sampler_is_rejected() -> None:
    assert halves_p_value(Weighted(), 200) < ALPHA


def noise_p_value(the_plan: SgdPlan, claimed: float, draws: int) -> float:
    """Return the two-sided chi-square p-value of the noise's variance against the claimed one."""
    made, weight = attached(the_plan, codes=np.zeros((5, 2), np.uint8), rows=10.0, outputs=50)
    seen = []
    for _ in range(draws):
        made.step()
        assert weight.grad is not None
        seen.append(weight.grad.clone().numpy().ravel() * the_plan.sample_rate * 10.0)
    values = np.concatenate(seen)
    law = stats.chi2(values.size)
    statistic = float(np.square(values).sum()) / claimed**2
    return 2.0 * min(law.cdf(statistic), law.sf(statistic))


@pytest.mark.statistical
def test_noise_has_the_scale_of_the_plan() -> None:
    # alpha 1e-3, 2,000 normal draws (100 parameters, 20 steps), seed 0
    the_plan = plan(clipping_norm=0.5, noise_multiplier=3.0, steps=20)
    assert noise_p_value(the_plan, 1.5, 20) > ALPHA


@pytest.mark.statistical
@pytest.mark.parametrize("wrong", [1.1, 0.9])
def test_noise_of_a_wrong_scale_is_rejected(wrong: float) -> None:
    the_plan = plan(clipping_norm=0.5, noise_multiplier=3.0, steps=20)
    assert noise_p_value(the_plan, 1.5 * wrong, 20) < ALPHA
