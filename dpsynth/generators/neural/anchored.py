"""A graphical model bought first, and by DP-SGD the interactions that its marginals miss."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from dpsynth.curator.checked_network import CheckedNetwork
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.sgd import SgdPlan
from dpsynth.generators.base import (
    Generator,
    SyntheticModel,
    check_counts,
    check_installed,
    check_positive,
    check_shares,
)
from dpsynth.generators.marginal.two_stage import TwoStage
from dpsynth.generators.neural.chain import Chain
from dpsynth.generators.neural.chain_model import ChainModel, Outputs, chain_loss
from dpsynth.generators.neural.graphical_chain import calibrated, chain_of
from dpsynth.generators.neural.interactions import Interactions, linear_layers
from dpsynth.generators.neural.snapshots import Snapshots, Sums, Weights
from dpsynth.generators.neural.softmax import softmax
from dpsynth.generators.neural.spending import check_sgd, mu_for, planned
from dpsynth.generators.neural.training import device_of, gradient_norm
from dpsynth.generators.progress import Reporter
from dpsynth.privacy.events import GdpEvent

if TYPE_CHECKING:
    import torch
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
    4. The noise in the sum of all gradients is known, since nothing rescales them: weights are
       what it has beyond a threshold (`_Descent`). Where no feature is above the noise, nothing is
       added.
    5. The tables are scaled until every measured marginal is what it was (`calibrated`).

    Everything but 1 and the gradients of 3 is post-processing. Dual averaging takes the place of
    an average of the weights.

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
        noise_in_logits: standard deviation that noise gives a logit through one feature, at the end
            and before thresholds; bounds the rate.
        false_features: expected number of features kept that are noise.
        device: where to train; "auto" is a GPU where there is one.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: Liu, Vietri & Wu 2021 (neural models of noisy marginals); Darroch, Lauritzen & Speed
        1980 (log-linear interactions); Abadi et al. 2016, Algorithm 1; Xiao 2010 (dual averaging);
        Deming & Stephan 1940 (scaling to margins).
    """

    marginal_share: float = 0.85
    features: int = 384
    sample_rate: float = 0.1
    steps: int = 60
    clipping_norm: float = 1.0
    noise_in_logits: float = 0.3
    false_features: float = 0.1
    device: str = "auto"

    name: ClassVar[str] = "anchored"
    accountant: ClassVar[str] = "pld"
    reference: ClassVar[str] = "Liu, Vietri & Wu 2021; Abadi et al. 2016; Deming & Stephan 1940"
    model: ClassVar[type[SyntheticModel]] = ChainModel
    trains: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch",)

    def __post_init__(self) -> None:
        check_shares(self, "marginal_share")
        check_counts(self, "features")
        check_positive(self, "noise_in_logits", "false_features")
        check_sgd(self)

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> ChainModel:
        check_installed(self)
        device = device_of(self.device)
        part = GdpEvent(mu=mu_for(private, self.marginal_share))
        plan = planned(
            private,
            [(_LABEL, part)],
            sample_rate=self.sample_rate,
            steps=self.steps,
            clipping_norm=self.clipping_norm,
        )
        bought = TwoStage(largest_joint=1).fit(  # a tree, for the chain
            private.allot(part, label=_LABEL), rng=rng
        )
        margins = chain_of(private.domain, bought.model)
        chain = Chain(links=tuple(margin.link for margin in margins))
        laws = [bought.marginal((a,)) / bought.total for a in private.domain.attributes]
        blank = Interactions.drawn(laws, chain.order, features=self.features, rng=rng)
        scale = _Scale.of(chain, blank, plan, rows=bought.total, rng=rng)
        descent = _Descent(
            plan=plan,
            rate=scale.rate(self.noise_in_logits),
            noise=scale.noise,
            false_features=self.false_features,
        )
        found = descent.run(private, chain, blank, rows=bought.total, rng=rng, device=device)
        chain = calibrated(margins, found, rows=_CALIBRATION_ROWS, rng=rng)
        return ChainModel(schema=private.schema, total=bought.total, chain=chain, correction=found)


@final
@dataclass(frozen=True, kw_only=True)
class _Scale:
    """Sizes of features and gradients at rows of the bought model: public, and so is the rate.

    Args:
        plan: of the training.
        noise: standard deviation of each entry of one noisy gradient.
        length: largest root mean square of a feature.
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
            moments = features.T @ features / len(codes)
            if len(moments):
                length = max(length, float(moments.diagonal().max()))
                stretch = max(stretch, float(np.linalg.eigvalsh(moments)[-1]))
            law = softmax(logits)
            own = law[np.arange(len(codes)), codes[:, a]]
            gradients += squares * ((law**2).sum(axis=1) + 1.0 - 2.0 * own)
        return cls(
            plan=plan,
            noise=plan.noise_multiplier * plan.clipping_norm / (plan.sample_rate * max(rows, 1.0)),
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
        noise = self.noise * sqrt(self.plan.steps) * self.length
        return min(stable, noise_in_logits / max(noise, 1e-12))


@final
@dataclass(frozen=True, kw_only=True)
class _Descent:
    """Dual averaging: weights are what the sum of all noisy gradients so far has beyond its noise.

    Noise of n steps is the square root of n times that of one: known, since nothing rescales the
    gradients. The k weights of a feature, centred, have a squared length of noise^2 times
    chi-square with k - 1 degrees of freedom if they are noise; soft thresholds are at the quantile
    that leaves `false_features` of all in the end (Bonferroni's bound). The sum of a feature that
    is there goes on to grow until its weights fit, so that thresholds shrink nothing.

    Args:
        plan: of the training.
        rate: of descent.
        noise: standard deviation of each entry of one noisy gradient.
        false_features: expected number of features kept that are noise.

    Reference: Xiao 2010, Algorithm 1 (regularised dual averaging); Yuan & Lin 2006 (groups).
    """

    plan: SgdPlan
    rate: float
    noise: float
    false_features: float

    def run(
        self,
        private: PrivateData,
        chain: Chain,
        blank: Interactions,
        *,
        rows: float,
        rng: np.random.Generator,
        device: "torch.device",
    ) -> Interactions:
        """Take all steps and return the weights."""
        import torch

        layers: Any = linear_layers(blank).to(device)
        loss, norm = chain_loss(chain, _outputs(blank)), self.plan.clipping_norm
        checked = CheckedNetwork(layers, loss, clipping_norm=norm, domain=private.domain, rng=rng)
        session = private.dpsgd(self.plan, checked, rows=max(rows, 1.0))
        reporter = Reporter(private.ledger, self.plan.steps, shown=not session.keeps)
        sums = {place: np.zeros(layer.weight.shape) for place, layer in layers.items()}
        quantiles = self._quantiles(blank)

        def shrunk(place: str, step: int) -> NDArray[np.float64]:
            return _soft(sums[place], self.rate * self.noise * sqrt(step) * quantiles[int(place)])

        snapshots = Snapshots(session, {"layers": Weights(layers), "sums": Sums(sums)})
        for step in range(snapshots.restore() + 1, self.plan.steps + 1):
            session.step()
            reporter.report(step, lambda: (session.trial_loss(), gradient_norm(layers)))
            for place, layer in layers.items():
                sums[place] -= self.rate * layer.weight.grad.double().cpu().numpy()
                layer.weight.data.copy_(torch.as_tensor(shrunk(place, step)))
            snapshots.save(last=step == self.plan.steps)
        session.check()
        weights = list(blank.weights)
        for place in sums:
            weights[int(place)] = shrunk(place, self.plan.steps)
        return replace(blank, weights=tuple(weights))

    def _quantiles(self, blank: Interactions) -> list[float]:
        tests = max(sum(w.shape[1] for w in blank.weights), 1)
        level = min(self.false_features / tests, 0.5)
        return [sqrt(chi2.isf(level, max(len(w) - 1, 1))) for w in blank.weights]


def _soft(sums: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Return each feature's centred weights, shorter by the threshold, or 0."""
    centred = sums - sums.mean(axis=0)
    lengths = np.sqrt((centred**2).sum(axis=0))
    return centred * np.maximum(1.0 - threshold / np.maximum(lengths, 1e-300), 0.0)


def _outputs(blank: Interactions) -> Outputs:
    def outputs(network: "nn.Module", codes: "Tensor") -> "dict[int, Tensor]":
        import torch

        features = blank.features(codes.cpu().numpy())
        layers: Any = network
        seen = {p: torch.as_tensor(features[int(p)]).to(codes.device) for p in layers}
        return {int(p): layer(seen[p]) for p, layer in layers.items()}

    return outputs
