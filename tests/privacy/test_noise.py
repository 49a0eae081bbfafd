import numpy as np
import pytest
from scipy import stats

from dpsynth.errors import InvalidValueError, ReleaseModeError
from dpsynth.privacy.events import NoiseLaw
from dpsynth.privacy.noise import NoiseSource, ReleaseNoise, ResearchNoise, noise_grid

INTEGER_LAWS = (NoiseLaw.DISCRETE, NoiseLaw.ROUNDED)


def research(seed: int = 0) -> ResearchNoise:
    return ResearchNoise(rng=np.random.default_rng(seed))


def sources() -> list[NoiseSource]:
    return [research(), ReleaseNoise()]


@pytest.mark.parametrize("source", sources(), ids=lambda s: s.mode)
@pytest.mark.parametrize("law", INTEGER_LAWS)
@pytest.mark.parametrize("spread", [1e-300, 0.05, 1.0, 33.3, 1e6, 2.0**40])
def test_integer_laws_return_integers_in_the_shape_asked_for(
    source: NoiseSource, law: NoiseLaw, spread: float
) -> None:
    for draw in (source.gaussian, source.laplace):
        noise = draw(spread, (3, 4), law=law)
        assert noise.shape == (3, 4)
        assert noise.dtype == np.float64
        assert (noise == np.rint(noise)).all()
        assert not np.signbit(noise[noise == 0]).any()
        assert draw(spread, 7, law=law).shape == (7,)
        assert draw(spread, 0, law=law).size == 0


@pytest.mark.parametrize("law", list(NoiseLaw))
def test_research_noise_repeats_with_its_seed_and_changes_with_another(law: NoiseLaw) -> None:
    for family in ("gaussian", "laplace"):
        first, again, other = (
            getattr(research(seed), family)(5.0, 50, law=law) for seed in (1, 1, 2)
        )
        assert (first == again).all()
        assert (first != other).any()


def test_release_noise_never_repeats() -> None:
    draws = [ReleaseNoise().gaussian(1e6, 8, law=NoiseLaw.DISCRETE) for _ in range(2)]
    assert (draws[0] != draws[1]).any()  # equal with probability below 1e-40


@pytest.mark.parametrize("kwargs", [{"seed": 0}, {"rng": np.random.default_rng(0)}])
def test_release_mode_refuses_seeds(kwargs: dict[str, object]) -> None:
    with pytest.raises(ReleaseModeError, match="seed"):
        ReleaseNoise(**kwargs)
    with pytest.raises(ReleaseModeError, match="seed"):
        ReleaseNoise(0)


def test_release_mode_refuses_floating_point_noise() -> None:
    for draw in (ReleaseNoise().gaussian, ReleaseNoise().laplace):
        with pytest.raises(ReleaseModeError, match="low bits"):
            draw(1.0, 5, law=NoiseLaw.CONTINUOUS)


@pytest.mark.parametrize("source", sources(), ids=lambda s: s.mode)
@pytest.mark.parametrize("spread", [0.0, -1.0, float("inf"), float("nan")])
def test_an_impossible_spread_is_refused(source: NoiseSource, spread: float) -> None:
    for draw in (source.gaussian, source.laplace):
        with pytest.raises(InvalidValueError, match="above 0"):
            draw(spread, 3, law=NoiseLaw.DISCRETE)
    with pytest.raises(InvalidValueError, match="sigma"):
        source.normal(spread, 3)


@pytest.mark.parametrize("source", sources(), ids=lambda s: s.mode)
def test_bernoulli_ends_are_certain_and_others_refused(source: NoiseSource) -> None:
    assert source.bernoulli(1.0, 1000).all()
    assert not source.bernoulli(0.0, 1000).any()
    for probability in (-0.1, 1.1, float("nan")):
        with pytest.raises(InvalidValueError, match="probability"):
            source.bernoulli(probability, 3)


@pytest.mark.statistical
@pytest.mark.parametrize("sigma", [1e-3, 1.0, 3.7, 1e6])
def test_noise_for_gradients_is_gaussian_on_a_fine_grid(sigma: float) -> None:
    # alpha 1e-6 (system randomness), 40,000 draws
    drawn, grid = ReleaseNoise().normal(sigma, (400, 100)), noise_grid(sigma)
    assert 2**24 <= sigma / grid <= 2**25
    assert (np.rint(drawn / grid) * grid == drawn).all()
    values = drawn.ravel() / sigma
    assert stats.kstest(values, "norm").pvalue > 1e-6
    assert stats.kstest(values / 1.1, "norm").pvalue < 1e-6
