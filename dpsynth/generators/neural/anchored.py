"""A graphical model bought first, and by DP-SGD the interactions that its marginals miss."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.sgd import SgdPlan
from dpsynth.errors import InvalidValueError, MissingExtraError
from dpsynth.generators.base import Generator, SyntheticModel, check_counts, check_shares
from dpsynth.generators.marginal.two_stage import TwoStage
from dpsynth.generators.neural.chain import Chain
from dpsynth.generators.neural.chain_model import ChainModel, Outputs, chain_loss
from dpsynth.generators.neural.graphical_chain import calibrated, chain_of
from dpsynth.generators.neural.interactions import Interactions, linear_layers
from dpsynth.generators.neural.softmax import softmax
from dpsynth.generators.neural.spending import check_sgd, mu_for, planned
from dpsynth.privacy.events import GdpEvent

if TYPE_CHECKING:
    from torch import Tensor, nn

_PUBLIC_ROWS = 2**12
_CALIBRATION_ROWS = 2**15
_LABEL = "graphical model"


@final
@dataclass(frozen=True, kw_only=True)
class Anchored(Generator):
    """A chain of the conditional laws of a graphical model, corrected by what DP-SGD finds.

    1. `marginal_share` of the budget buys the graphical model of `two_stage`, adaptively.
    2. Along its junction tree it becomes a chain of conditional laws, exactly. They are offsets of
       the logits that are trained: a network need not be taught what the marginals say, and one
       that learns nothing leaves the model as it was.
    3. DP-SGD trains weights of fixed features, products of contrasts of up to three attributes:
       interactions of four with the attribute itself, of which there are too many to measure one
       by one. One gradient serves all of them, and the loss is convex, so that noise cannot hide
       a parity from the descent as it does from hidden layers.
    4. The noise in each weight is known: the steps are plain, and nothing rescales them. Weights
       that noise explains are 0, the others shrunk; where no feature is above the noise, nothing
       is added.
    5. The tables are scaled until every measured marginal is what it was (`calibrated`).

    Everything but 1 and the gradients of 3 is post-processing. The last iterate is used, not an
    average: thresholds are for the sum of all noise.

    Loss of a record: its negative log-likelihood under the corrected chain.
    Relation: both. Sensitivity: of the queries of `two_stage`, as declared there; the sum of
    clipped gradients moves by at most the clipping norm when a record comes or goes (and by twice
    that when one is replaced, which the accountant knows).
    Accounting: a mu-GDP part, within which the queries are adaptive, composed with DP-SGD under
    Poisson sampling by privacy loss distributions.
    Cost: the whole budget.

    Args:
        marginal_share: part of the budget's mu^2 for the graphical model.
        features: largest number of features of one attribute.
        sample_rate: probability with which a record joins a batch.
        steps: number of batches.
        clipping_norm: largest gradient of a record, over all parameters.
        noise_in_logits: standard deviation of a logit by noise, at the end of the training and
            before thresholds; bounds the learning rate.
        false_features: expected number of features kept that are noise.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: Liu, Vietri & Wu 2021 (neural models of noisy marginals); Darroch, Lauritzen & Speed
        1980 (log-linear interactions); Abadi et al. 2016, Algorithm 1; Deming & Stephan 1940.
    """

    marginal_share: float = 0.85
    features: int = 384
    sample_rate: float = 0.2
    steps: int = 60
    clipping_norm: float = 1.0
    noise_in_logits: float = 0.3
    false_features: float = 0.1

    name: ClassVar[str] = "anchored"
    accountant: ClassVar[str] = "pld"
    reference: ClassVar[str] = "Liu, Vietri & Wu 2021; Abadi et al. 2016; Deming & Stephan 1940"
    model: ClassVar[type[SyntheticModel]] = ChainModel
    requires: ClassVar[tuple[str, ...]] = ("torch",)

    def __post_init__(self) -> None:
        check_shares(self, "marginal_share")
        check_counts(self, "features")
        for field in ("noise_in_logits", "false_features"):
            if not 0 < getattr(self, field) < inf:
                raise InvalidValueError(field, getattr(self, field), "a finite number above 0")
        check_sgd(self)

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> ChainModel:
        try:
            import torch  # noqa: F401 - missing is said before anything is spent
        except ImportError:
            raise MissingExtraError("the generator 'anchored'", "neural") from None
        part = GdpEvent(mu=mu_for(private, self.marginal_share))
        plan = planned(
            private,
            [(_LABEL, part)],
            sample_rate=self.sample_rate,
            steps=self.steps,
            clipping_norm=self.clipping_norm,
        )
        bought = TwoStage().fit(private.allot(part, label=_LABEL), rng=rng)
        margins = chain_of(private.domain, bought.model)
        chain = Chain(links=tuple(margin.link for margin in margins))
        laws = [bought.marginal((a,)) / bought.total for a in private.domain.attributes]
        blank = Interactions.drawn(laws, chain.order, features=self.features, rng=rng)
        scale = _Scale.of(chain, blank, plan, rows=bought.total, rng=rng)
        rate = scale.rate(self.noise_in_logits)
        summed = _descended(private, plan, chain, blank, rate=rate, rows=bought.total, rng=rng)
        found = _above_noise(summed, rate * scale.noise, false_features=self.false_features)
        chain = calibrated(margins, found, rows=_CALIBRATION_ROWS, rng=rng)
        return ChainModel(schema=private.schema, total=bought.total, chain=chain, correction=found)


@final
@dataclass(frozen=True, kw_only=True)
class _Scale:
    """Sizes of features and gradients at rows of the bought model: public, and so is the rate.

    Args:
        plan: of the training.
        noise: standard deviation of each entry of the sum of all noisy gradients.
        length: root mean square of the features of a place, as a vector; the largest.
        stretch: largest eigenvalue of their second moments, of all places.
        gradient: median norm of a row's gradient.
    """

    plan: SgdPlan
    noise: float
    length: float
    stretch: float
    gradient: float

    @classmethod
    def of(
        cls,
        chain: Chain,
        blank: Interactions,
        plan: SgdPlan,
        *,
        rows: float,
        rng: np.random.Generator,
    ) -> Self:
        codes = chain.rows(_PUBLIC_ROWS, rng=rng)
        length = stretch = 0.0
        gradients = np.zeros(len(codes))
        for features, logits, a in zip(
            blank.features(codes), chain.logits(codes), chain.order, strict=True
        ):
            squares = (features**2).sum(axis=1)
            length = max(length, float(squares.mean()))
            moments = features.T @ features / len(codes)
            stretch = max(stretch, float(np.linalg.eigvalsh(moments)[-1]) if len(moments) else 0.0)
            law = softmax(logits)
            own = law[np.arange(len(codes)), codes[:, a]]
            gradients += squares * ((law**2).sum(axis=1) + 1.0 - 2.0 * own)
        tau = plan.noise_multiplier * plan.clipping_norm / (plan.sample_rate * rows)
        return cls(
            plan=plan,
            noise=tau * sqrt(plan.steps),
            length=sqrt(length),
            stretch=stretch,
            gradient=float(np.median(np.sqrt(gradients))),
        )

    def rate(self, noise_in_logits: float) -> float:
        """Return the largest rate whose noise is bounded and whose descent is stable.

        A softmax's second derivatives are at most 1/2, and clipping scales gradients down.
        """
        clipped = min(1.0, self.plan.clipping_norm / max(self.gradient, 1e-12))
        stable = 1.0 / max(0.5 * clipped * self.stretch, 1e-12)
        return min(stable, noise_in_logits / max(self.noise * self.length, 1e-12))


def _descended(
    private: PrivateData,
    plan: SgdPlan,
    chain: Chain,
    blank: Interactions,
    *,
    rate: float,
    rows: float,
    rng: np.random.Generator,
) -> Interactions:
    """Return weights after all steps, each against the noisy gradient times the rate."""
    import torch

    layers: Any = linear_layers(blank)
    session = private.dpsgd(plan)
    session.attach(layers, chain_loss(chain, _outputs(blank)), rows=max(rows, 1.0), rng=rng)
    optimiser = torch.optim.SGD(layers.parameters(), lr=rate)
    for _ in range(plan.steps):
        session.step()
        optimiser.step()
    session.check()
    weights = list(blank.weights)
    for place, layer in layers.items():
        weights[int(place)] = layer.weight.detach().double().numpy()
    return replace(blank, weights=tuple(weights))


def _outputs(blank: Interactions) -> Outputs:
    def outputs(network: "nn.Module", codes: "Tensor") -> "dict[int, Tensor]":
        import torch

        features = blank.features(codes.numpy())
        layers: Any = network
        return {int(p): layer(torch.as_tensor(features[int(p)])) for p, layer in layers.items()}

    return outputs


def _above_noise(summed: Interactions, noise: float, *, false_features: float) -> Interactions:
    """Return features whose weights are larger than noise explains, shrunk by what it adds.

    A feature's weights of k codes, centred, have a squared length of noise^2 times chi-square with
    k - 1 degrees of freedom if they are noise.

    Reference: James & Stein 1961 (positive part); Bonferroni's bound.
    """
    tests = sum(w.shape[1] for w in summed.weights)
    kept: list[NDArray[np.float64]] = []
    for weights in summed.weights:
        centred, freedom = weights - weights.mean(axis=0), len(weights) - 1
        squares = (centred**2).sum(axis=0) / noise**2
        clear = squares > chi2.isf(false_features / max(tests, 1), max(freedom, 1))
        shrunk = 1.0 - freedom / np.maximum(squares, 1.0)
        kept.append(centred * np.where(clear, shrunk, 0.0))
    return replace(summed, weights=tuple(kept))
