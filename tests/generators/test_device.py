"""Training somewhere else than on the processor: said beforehand, and without a mix of devices."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from dpsynth.curator.embedding import EmbeddingQuery  # noqa: E402
from dpsynth.curator.private_data import PrivateData  # noqa: E402
from dpsynth.errors import InvalidValueError  # noqa: E402
from dpsynth.generators.neural import diffusion, dpctgan, dpgan, merf, vae  # noqa: E402
from dpsynth.generators.neural.adversarial import stack  # noqa: E402
from dpsynth.generators.neural.anchored import Anchored  # noqa: E402
from dpsynth.generators.neural.autoregressive import DpAutoregressive  # noqa: E402
from dpsynth.generators.neural.latent_mixture import LatentMixture, hearsay, misfit  # noqa: E402
from dpsynth.generators.neural.margnet import MargNet  # noqa: E402
from dpsynth.generators.neural.networks import autoencoder  # noqa: E402
from dpsynth.generators.neural.noising import Noising  # noqa: E402
from dpsynth.generators.neural.pate_gan import PateGan  # noqa: E402
from dpsynth.pgm.measurement import NoisyMarginal  # noqa: E402
from dpsynth.privacy.budget import Budget  # noqa: E402
from dpsynth.privacy.noise import ResearchNoise  # noqa: E402
from tests.generators.planted import SIZES, planted_table  # noqa: E402

TABLE = planted_table(50)


@pytest.mark.parametrize("device", ["nowhere", "meta", "cuda:99"])
@pytest.mark.parametrize(
    "family",
    [
        vae.DpVae,
        diffusion.DpDiffusion,
        DpAutoregressive,
        dpgan.DpGan,
        dpctgan.DpCtgan,
        merf.DpMerf,
        Anchored,
        MargNet,
        PateGan,
    ],
)
def test_a_device_out_of_reach_is_refused_before_anything_is_bought(
    family: Any, device: str
) -> None:
    noise = ResearchNoise(rng=np.random.default_rng(0))
    budget = Budget(epsilon=1.0, delta=1e-9)
    private = PrivateData(TABLE, budget, noise=noise, accountant=family.accountant)
    assert family().device == "auto"
    with pytest.raises(InvalidValueError, match=f"device is '{device}'"):
        family(device=device).fit(private, rng=np.random.default_rng(0))
    assert not private.ledger.entries
    assert not private.ledger.plan


def on_a_fake_gpu(network: Any) -> Any:
    """Put parameters that have a device and no numbers in the place of a network's own."""
    for module in network.modules():
        for name, parameter in list(module._parameters.items()):
            module._parameters[name] = torch.nn.Parameter(
                torch.empty(parameter.shape, device="cuda"), requires_grad=False
            )
    return network


def losses(which: str) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(0)
    if which == "dpvae":
        network: Any = autoencoder(width=sum(SIZES), hidden=4, latent=2, generator=generator)
        return network, vae._loss(TABLE.schema.domain)
    laws = tuple(np.full(size, 1.0 / size) for size in SIZES)
    noising = Noising(laws=laws, ordered=(False,) * len(SIZES), steps=3)
    network = diffusion._network(sum(SIZES), 4, generator)
    return network, diffusion._loss(noising, 2)


@pytest.mark.parametrize("which", ["dpvae", "dpdiffusion"])
def test_losses_of_a_network_on_a_gpu_are_there(which: str) -> None:
    """Tensors with devices and without numbers: an operation on two devices is an error."""
    network, loss = losses(which)
    generator = torch.Generator().manual_seed(1)
    with FakeTensorMode(allow_non_fake_inputs=True):
        network = on_a_fake_gpu(network)
        codes = torch.zeros((7, len(SIZES)), dtype=torch.int64, device="cuda")
        found = loss(network, codes, generator)
        assert (found.device.type, tuple(found.shape)) == ("cuda", (7,))
        with pytest.raises(RuntimeError, match="same device"):
            loss(network, codes.cpu(), generator)


def test_a_mixture_on_a_gpu_is_fitted_there() -> None:
    domain = TABLE.schema.domain
    shares = np.concatenate([np.full(size, 1.0 / size) for size in SIZES])
    pair = domain.attributes[:2]
    sizes = [domain.sizes[a] for a in pair]
    bought = NoisyMarginal(clique=pair, values=np.ones(sizes), sigma=1.0)
    guess = np.ones((shares.size, shares.size))
    rng = np.random.default_rng(0)
    network: Any = LatentMixture(domain, shares, draws=7, latent=2, hidden=4, rng=rng)

    def moved(tensor: Any) -> Any:
        return torch.empty(tensor.shape, device="cuda")

    with FakeTensorMode(allow_non_fake_inputs=True):
        network._shares, network._shift = moved(network._shares), moved(network._shift)
        network._latent = moved(network._latent)
        network._layers = [(moved(weight), moved(bias)) for weight, bias in network._layers]
        network._calibrate(1.0)
        laws = network.laws()
        for loss in (misfit([bought], 50.0), hearsay(domain, guess, [pair], 0.1)):
            assert loss(laws).device.type == "cuda"


def test_a_game_on_a_gpu_stays_there() -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):
        generator = torch.Generator().manual_seed(0)
        players = dpgan._OneHot(
            critic=on_a_fake_gpu(stack((sum(SIZES), 4, 1), generator=generator)),
            maker=on_a_fake_gpu(stack((2, 4, sum(SIZES)), generator=generator)),
            sizes=SIZES,
            latent=2,
            temperature=0.7,
            device=torch.device("cuda:0"),
        )
        fakes = players.fakes(7, generator)
        assert (fakes.device.type, tuple(fakes.shape)) == ("cuda", (7, len(SIZES)))
        assert players.displeasure(players.critic, fakes, generator).device.type == "cuda"
        assert players.loss(players.critic, 7, generator).device.type == "cuda"
        with pytest.raises(RuntimeError, match="same device"):
            players.displeasure(players.critic, fakes.cpu(), generator)


@pytest.mark.parametrize("label", [None, "c1"])
def test_the_misfit_of_an_embedding_on_a_gpu_is_there(label: str | None) -> None:
    query = EmbeddingQuery(phases=np.ones((sum(SIZES), 3), dtype=np.uint16), label=label)
    codes = 1 if label is None else SIZES[1]
    with FakeTensorMode(allow_non_fake_inputs=True):
        gpu, domain = torch.device("cuda:0"), TABLE.schema.domain
        misfit = merf._misfit(domain, query, np.zeros((2, codes, 3)), 0.1, gpu)
        laws = {a: torch.ones(5, size, device="cuda") for a, size in domain.sizes.items()}
        assert misfit(laws).device.type == "cuda"
        with pytest.raises(RuntimeError, match="same device"):
            misfit({a: law.cpu() for a, law in laws.items()})
