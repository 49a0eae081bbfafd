"""An autoregressive network over columns, trained by DP-SGD from noisy 1-way marginals."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, final

import numpy as np

from dpsynth.curator.private_data import PrivateData
from dpsynth.generators.base import (
    Generator,
    SyntheticModel,
    check_counts,
    check_installed,
    check_shares,
)
from dpsynth.generators.neural.chain import Chain
from dpsynth.generators.neural.chain_model import ChainModel, chain_loss
from dpsynth.generators.neural.graphical_chain import Margins, calibrated
from dpsynth.generators.neural.nade import Nade, nade_network, nade_outputs
from dpsynth.generators.neural.softmax import parts
from dpsynth.generators.neural.spending import check_sgd, start_of
from dpsynth.generators.neural.training import Training, device_of, train

_CALIBRATION_ROWS = 2**14


@final
@dataclass(frozen=True, kw_only=True)
class DpAutoregressive(Generator):
    """A network that gives each attribute's law given all before it, in one pass for a record.

    The order is public: attributes of few codes come first, since what comes later is conditioned
    on them. One plan is reserved before anything is drawn: noisy 1-way marginals, then all steps.
    The marginals give the number of records, the network's output biases, the centres of its
    inputs, and the laws to which the tables are calibrated once it is trained, attribute by
    attribute; all of that is post-processing. Rows are drawn attribute by attribute, in NumPy.

    Loss of a record: its negative log-likelihood, the sum over attributes of the cross-entropy of
    the law given those before (no sampling, no bound).
    Relation: both. Sensitivity: `MarginalQuery` for the marginals; the sum of clipped gradients
    moves by at most the clipping norm when a record comes or goes (and by twice that when one is
    replaced, which the accountant knows).
    Accounting: Poisson sampling, composed with the marginals by privacy loss distributions.
    Cost: the whole budget.

    Args:
        one_way_share: part of the budget's mu^2 for the marginals.
        sample_rate: probability with which a record joins a batch.
        steps: number of batches.
        clipping_norm: largest gradient of a record, over all parameters.
        learning_rate: Adam's, at its height.
        warm_up: part of the steps in which the rate rises; afterwards it fades to 0.
        hidden: units of the hidden layer.
        average_decay: of the running average of the weights.
        device: where to train; "auto" is a GPU where there is one.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: Castellon et al. 2023 (DP-TBART: autoregression over columns by DP-SGD); Larochelle &
        Murray 2011 (the network); Abadi et al. 2016, Algorithm 1; De et al. 2022 (large batches,
        average of weights).
    """

    one_way_share: float = 0.3
    sample_rate: float = 0.1
    steps: int = 200
    clipping_norm: float = 1.0
    learning_rate: float = 0.01
    warm_up: float = 0.1
    hidden: int = 48
    average_decay: float = 0.95
    device: str = "auto"

    name: ClassVar[str] = "dpar"
    accountant: ClassVar[str] = "pld"
    reference: ClassVar[str] = "Castellon et al. 2023; Larochelle & Murray 2011; Abadi et al. 2016"
    model: ClassVar[type[SyntheticModel]] = ChainModel
    trains: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch",)

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share")
        check_counts(self, "hidden")
        check_sgd(self)
        _ = self._training

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> ChainModel:
        check_installed(self)
        import torch

        device, domain = device_of(self.device), private.domain
        total, side_by_side, plan = start_of(private, self)
        laws = parts(side_by_side, domain)
        order = sorted(range(len(laws)), key=lambda a: len(laws[a]))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        network: Any = nade_network(domain.shape, order, hidden=self.hidden, generator=generator)
        chain = Chain.independent(laws, order)
        loss = chain_loss(chain, partial(nade_outputs, laws=laws, order=order))
        train(private, plan, network, loss, self._training, rows=total, rng=rng, device=device)
        trained = Nade.of(network, laws, order)
        margins = [Margins(link=link, laws={(): np.exp(link.table)[None]}) for link in chain.links]
        chain = calibrated(margins, trained, rows=_CALIBRATION_ROWS, rng=rng)
        return ChainModel(schema=private.schema, total=total, chain=chain, correction=trained)

    @property
    def _training(self) -> Training:
        return Training(
            learning_rate=self.learning_rate,
            warm_up=self.warm_up,
            fading=True,
            average_decay=self.average_decay,
        )
