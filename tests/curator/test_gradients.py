"""Clipped sums: equal to a plain loop, bounded sensitivity, and refusals that name the offender."""

import numpy as np
import pytest

from dpsynth.curator.gradients import ClippedSum, GhostClippedSum, HookClippedSum, clipped_sum
from dpsynth.curator.probe import Probe
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

DOMAIN = Domain(sizes={"a": 3, "b": 4, "c": 2})
WIDTH = 9


def encode(codes):
    parts = [functional.one_hot(codes[:, i], k) for i, k in enumerate(DOMAIN.shape)]
    return torch.cat(parts, dim=1).float()


def squared_loss(module, codes, generator):
    x = encode(codes)
    noise = torch.randn(len(x), WIDTH, generator=generator)
    return (module(x) - x + 0.1 * noise).square().sum(1)


def quiet_loss(module, codes, generator):
    x = encode(codes)
    return (module(x) - x).square().sum(1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def mlp(*extra):
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(WIDTH, 8), *extra, nn.Tanh(), nn.Linear(8, WIDTH, bias=False))


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    return torch.as_tensor(rng.integers(0, np.array(DOMAIN.shape), size=(n, 3)))


def plain_loop(module, codes, norm, generator):
    """Return the sum of clipped gradients, one backward pass a record."""
    parameters = list(module.parameters())
    losses = squared_loss(module, codes, generator)
    total = [torch.zeros_like(p) for p in parameters]
    for loss in losses:
        gradient = torch.autograd.grad(loss, parameters, retain_graph=True)
        length = torch.cat([g.flatten() for g in gradient]).norm()
        total = [t + g * min(1.0, norm / length) for t, g in zip(total, gradient, strict=True)]
    return total


def flat(pieces):
    return torch.cat([p.flatten() for p in pieces])


@pytest.mark.parametrize("route", [GhostClippedSum, HookClippedSum])
@pytest.mark.parametrize("norm", [0.3, 5.0, 1e6])
def test_clipped_sum_equals_a_plain_loop(route: type[ClippedSum], norm: float) -> None:
    module, codes = mlp(), rows(40)
    module.train()
    expected = flat(plain_loop(module, codes, norm, seeded()))
    found = flat(route(module=module, loss=squared_loss, norm=norm)(codes, seeded()))
    scale = float(expected.abs().max())
    # the routes clip 1e-5 deeper on purpose
    assert float((found - expected).abs().max()) <= 2e-5 * scale


def test_the_comparison_sees_clipping_left_out() -> None:
    module, codes = mlp(), rows(40)
    clipped = flat(plain_loop(module, codes, 0.3, seeded()))
    free = flat(plain_loop(module, codes, 1e6, seeded()))
    assert float((free - clipped).abs().max()) > 0.1 * float(clipped.abs().max())


@pytest.mark.parametrize("route", [GhostClippedSum, HookClippedSum])
@pytest.mark.parametrize("norm", [1e-3, 1.0, 50.0])
def test_one_record_moves_the_sum_by_at_most_the_norm(route: type[ClippedSum], norm: float) -> None:
    module, codes = mlp(), rows(30)
    module.train()
    summed = route(module=module, loss=lambda m, c, g: 1e3 * quiet_loss(m, c, g), norm=norm)
    for i in range(5):
        alone = flat(summed(codes[i : i + 1], seeded()))
        assert float(alone.norm()) <= norm
    whole, without = flat(summed(codes, seeded())), flat(summed(codes[:-1], seeded()))
    assert float((whole - without).norm()) <= norm * (1 + 1e-4)


@pytest.mark.parametrize("route", [GhostClippedSum, HookClippedSum])
def test_a_record_without_a_finite_gradient_contributes_nothing(route: type[ClippedSum]) -> None:
    def poisoned(module, codes, generator):
        return quiet_loss(module, codes, generator) * torch.where(codes[:, 2] == 1, torch.nan, 1.0)

    module, codes = mlp(), rows(30)
    module.train()
    found = flat(route(module=module, loss=poisoned, norm=1.0)(codes, seeded()))
    kept = codes[codes[:, 2] == 0]
    module = mlp()
    module.train()
    expected = flat(route(module=module, loss=quiet_loss, norm=1.0)(kept, seeded()))
    assert torch.allclose(found, expected, atol=1e-5)
    only_bad = codes[codes[:, 2] == 1]
    nothing = flat(route(module=mlp().train(), loss=poisoned, norm=1.0)(only_bad, seeded()))
    assert float(nothing.abs().max()) == 0.0


@pytest.mark.parametrize("route", [GhostClippedSum, HookClippedSum])
def test_gradients_of_the_caller_are_left_alone(route: type[ClippedSum]) -> None:
    module = mlp()
    module.train()
    first = next(module.parameters())
    first.grad = torch.ones_like(first)
    route(module=module, loss=squared_loss, norm=1.0)(rows(4), seeded())
    assert torch.equal(first.grad, torch.ones_like(first))


def probe() -> Probe:
    return Probe(domain=DOMAIN, rng=np.random.default_rng(1))


def choose(module, loss=squared_loss) -> ClippedSum:
    module.train()
    trial = probe()
    clipped = clipped_sum(
        module=module, loss=loss, norm=1.0, probe=trial.codes, generator=trial.generator()
    )
    trial.refuse_mixing(module, loss)
    trial.refuse_wrong_sum(clipped)
    return clipped


def test_the_cheap_route_is_taken_only_where_it_is_right() -> None:
    assert isinstance(choose(mlp()), GhostClippedSum)
    assert isinstance(choose(mlp(nn.LayerNorm(8))), HookClippedSum)
    tied = nn.Linear(WIDTH, WIDTH)
    assert isinstance(choose(nn.Sequential(tied, nn.Tanh(), tied)), GhostClippedSum)


class Tokens(nn.Module):
    """Attention over the codes of a record: Linear layers alone, on sequences."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.embed = nn.Linear(WIDTH, width, bias=False)
        self.mix = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        tokens = torch.tanh(self.embed(torch.diag_embed(x)))  # (batch, WIDTH, width)
        query, key, value = self.mix(tokens).chunk(3, dim=2)
        mixed = (query @ key.transpose(1, 2)).softmax(2) @ value
        return self.out(tokens + mixed).squeeze(2)


class Tied(nn.Module):
    """One layer, called three times on (batch, features)."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH, bias=bias)

    def forward(self, x):
        return self.layer(torch.tanh(self.layer(torch.tanh(self.layer(x)))))


@pytest.mark.parametrize("build", [Tokens, lambda: Tied(True), lambda: Tied(False)])
@pytest.mark.parametrize("norm", [0.05, 1.0, 1e6])
def test_layers_with_several_places_equal_a_plain_loop(build, norm: float) -> None:
    torch.manual_seed(4)
    module, codes = build(), rows(40)
    clipped = choose(module)
    assert isinstance(clipped, GhostClippedSum)
    expected = flat(plain_loop(module, codes, norm, seeded()))
    found = flat(GhostClippedSum(module=module, loss=squared_loss, norm=norm)(codes, seeded()))
    assert float((found - expected).abs().max()) <= 2e-5 * float(expected.abs().max())


@pytest.mark.parametrize("width", [2, 40])
def test_both_ways_to_a_norm_agree_with_opacus(width: int) -> None:
    torch.manual_seed(5)
    module, codes = Tokens(width).train(), rows(25)
    # Nine places: the products of places are larger than the matrix of 2 x 9, smaller than others.
    ghost = flat(GhostClippedSum(module=module, loss=squared_loss, norm=0.5)(codes, seeded()))
    hooks = flat(HookClippedSum(module=module, loss=squared_loss, norm=0.5)(codes, seeded()))
    assert float((ghost - hooks).abs().max()) <= 1e-5 * float(hooks.abs().max())


def test_places_that_cancel_are_not_taken_for_short() -> None:
    """Uses of a layer that nearly undo one another leave a gradient that rounding hides."""

    class Undone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(WIDTH, 4)

        def forward(self, x):
            return 3e3 * (self.layer(x + 1e-3 * x.roll(1, 1)) - self.layer(x)).sum(1)

    torch.manual_seed(6)
    module, codes = Undone().double(), rows(30)
    summed = GhostClippedSum(module=module.float(), loss=lambda m, c, g: m(encode(c)), norm=1.0)
    exact = Undone().double()
    exact.load_state_dict(module.state_dict())
    for i in range(len(codes)):
        one = codes[i : i + 1]
        gradient = torch.autograd.grad(exact(encode(one).double()).sum(), exact.parameters())
        length = float(torch.cat([g.flatten() for g in gradient]).norm())
        alone = float(flat(summed(one, seeded())).norm())
        assert alone <= 1.0
        assert alone <= length * 1.01


def test_a_frozen_layer_has_no_gradient() -> None:
    module = mlp()
    module[0].requires_grad_(False)
    clipped = choose(module)
    assert isinstance(clipped, GhostClippedSum)
    assert [tuple(p.shape) for p in clipped(rows(5), seeded())] == [(WIDTH, 8)]


class Centred(nn.Module):
    """A layer that mixes records and is on nobody's list."""

    def forward(self, x):
        return x - x.mean(0)


class Remembering(nn.Module):
    """Mixes nothing, and keeps the sum of what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(8))

    def forward(self, x):
        self.seen = self.seen + x.detach().sum(0)
        return x


@pytest.mark.parametrize(
    ("module", "loss", "named"),
    [
        (lambda: mlp(nn.BatchNorm1d(8)), squared_loss, "layer '1' is 'BatchNorm1d'"),
        (lambda: mlp(Centred()), squared_loss, "layer '1' is 'Centred, which mixes records'"),
        (lambda: mlp(Remembering()), squared_loss, "buffer '1.seen'"),
        (lambda: nn.Sequential(nn.Tanh()), squared_loss, "trainable"),
        (mlp, lambda m, c, g: squared_loss(m, c, g).mean(), "not averaged"),
        (
            mlp,
            lambda m, c, g: squared_loss(m, c, g) / squared_loss(m, c, g).sum(),
            "mixes records",
        ),
        (
            mlp,
            lambda m, c, g: squared_loss(m, c, g) + m[2].weight.square().sum(),
            "outside of its layer",
        ),
    ],
)
def test_what_clipping_cannot_bound_is_refused_by_name(module, loss, named: str) -> None:
    with pytest.raises(InvalidValueError, match=named):
        choose(module(), loss)
