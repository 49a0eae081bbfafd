# torch and opacus state their types only in part.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false
"""Samples a second of a training step: non-private, ours in both modes, and Opacus' two.

    python scripts/bench_dpsgd.py [--batches 256 1024 4096] [--out bench.json]

One network (110-256-256-110, one-hot records of 11 attributes, Adam), one process, one thread.
Every way takes whole steps: a batch is drawn, gradients clipped, noise added, weights moved. Steps
of all ways take turns, so that a busy machine slows all alike, and the median of CPU seconds
counts. Batches of the private ways are Poisson samples of that size on average, except Opacus',
which are given the same number of records.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import torch
from torch import nn

from dpsynth.curator.checked_network import CheckedNetwork
from dpsynth.curator.sgd import SgdPlan, SgdSession, rate_of
from dpsynth.data.domain import Domain
from dpsynth.generators.neural.softmax import cross_entropy, one_hot
from dpsynth.privacy.noise import NoiseSource, ReleaseNoise, ResearchNoise

SIZES = (16, 9, 16, 7, 15, 6, 5, 2, 16, 8, 10)
DOMAIN = Domain(sizes={f"c{i}": size for i, size in enumerate(SIZES)})
ROWS, HIDDEN, NORM, NOISE = 32_561, 256, 1.0, 1.0
_PIECE = 512  # records whose gradients Opacus' hooks hold at once

Step = Callable[[], None]


def network() -> nn.Sequential:
    """Return the network that all ways train, with the same first weights."""
    torch.manual_seed(0)
    width = sum(SIZES)
    return nn.Sequential(
        nn.Linear(width, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, width),
    )


def losses(module: nn.Module, codes: torch.Tensor, generator: object = None) -> torch.Tensor:
    """Return one reconstruction loss a record."""
    del generator
    ones = one_hot(codes, SIZES)
    return cross_entropy(module(ones), ones, SIZES)


class Reconstruction(nn.Module):
    """The same loss, as Opacus wants a criterion."""

    reduction = "mean"

    def forward(self, logits: torch.Tensor, ones: torch.Tensor) -> torch.Tensor:
        found = cross_entropy(logits, ones, SIZES)
        return found if self.reduction == "none" else found.mean()


def records(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, SIZES, size=(ROWS, len(SIZES))).astype(np.uint8)


def batches(codes: np.ndarray, batch: int) -> Callable[[], torch.Tensor]:
    """Return what draws so many records at random, for ways without Poisson sampling."""
    rng = np.random.default_rng(1)
    return lambda: torch.as_tensor(codes[rng.integers(0, ROWS, batch)].astype(np.int64))


def non_private(codes: np.ndarray, batch: int) -> Step:
    module, draw = network(), batches(codes, batch)
    optimiser = torch.optim.Adam(module.parameters())

    def step() -> None:
        optimiser.zero_grad()
        losses(module, draw()).mean().backward()
        optimiser.step()

    return step


def ours(noise: NoiseSource) -> Callable[[np.ndarray, int], Step]:
    def make(codes: np.ndarray, batch: int) -> Step:
        plan = SgdPlan(
            sample_rate=rate_of(batch, rows=ROWS),
            steps=10**6,
            clipping_norm=NORM,
            noise_multiplier=NOISE,
        )
        module, rng = network(), np.random.default_rng(2)
        checked = CheckedNetwork(module, losses, clipping_norm=NORM, domain=DOMAIN, rng=rng)
        session = SgdSession(
            codes=codes, network=checked, plan=plan, rows=ROWS, noise=noise, receipt=_none
        )
        optimiser = torch.optim.Adam(module.parameters())

        def step() -> None:
            session.step()
            optimiser.step()

        return step

    return make


def _none() -> None:
    raise AssertionError("no run of this bench diverges")


def opacus_ghost(codes: np.ndarray, batch: int) -> Step:
    from opacus.grad_sample import GradSampleModuleFastGradientClipping
    from opacus.optimizers import DPOptimizerFastGradientClipping
    from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

    module, draw = network(), batches(codes, batch)
    wrapped = GradSampleModuleFastGradientClipping(
        module, max_grad_norm=NORM, use_ghost_clipping=True, loss_reduction="mean"
    )
    optimiser = DPOptimizerFastGradientClipping(
        torch.optim.Adam(module.parameters()),
        noise_multiplier=NOISE,
        max_grad_norm=NORM,
        expected_batch_size=batch,
    )
    criterion = DPLossFastGradientClipping(wrapped, optimiser, Reconstruction())

    def step() -> None:
        optimiser.zero_grad()
        ones = one_hot(draw(), SIZES)
        criterion(wrapped(ones), ones).backward()
        optimiser.step()

    return step


def opacus_hooks(codes: np.ndarray, batch: int) -> Step:
    from opacus.grad_sample import GradSampleModule
    from opacus.optimizers import DPOptimizer

    module, draw = network(), batches(codes, batch)
    wrapped = GradSampleModule(module, loss_reduction="mean")
    optimiser = DPOptimizer(
        torch.optim.Adam(module.parameters()),
        noise_multiplier=NOISE,
        max_grad_norm=NORM,
        expected_batch_size=batch,
    )

    def step() -> None:
        pieces = draw().split(_PIECE)
        for piece in pieces:
            optimiser.signal_skip_step(do_skip=piece is not pieces[-1])
            ones = one_hot(piece, SIZES)
            Reconstruction()(wrapped(ones), ones).backward()
            optimiser.step()
            optimiser.zero_grad()

    return step


WAYS: dict[str, Callable[[np.ndarray, int], Step]] = {
    "non-private": non_private,
    "dpsynth, research": ours(ResearchNoise(rng=np.random.default_rng(3))),
    "dpsynth, release": ours(ReleaseNoise()),
    "Opacus ghost clipping": opacus_ghost,
    "Opacus hooks": opacus_hooks,
}
_SLOW = "Opacus hooks"


def measured(batch: int, *, steps: int) -> dict[str, float]:
    """Return samples a second of CPU time of each way, from the median step.

    Args:
        batch: records of a batch, on average.
        steps: how many of each way count; a tenth of them, at least 2, of the slowest.
    """
    codes = records(np.random.default_rng(0))
    made = {name: make(codes, batch) for name, make in WAYS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for turn in range(-1, steps):
        for name, step in made.items():
            if name == _SLOW and turn >= max(2, steps // 10):
                continue
            start = process_time()
            step()
            if turn >= 0:  # the first warms up
                seconds[name].append(process_time() - start)
    return {name: batch / median(taken) for name, taken in seconds.items()}


def markdown(found: dict[int, dict[str, float]]) -> str:
    """Return a table of samples a second, and of shares of the non-private step."""
    lines = ["| step | " + " | ".join(f"batch {batch}" for batch in found) + " |"]
    lines.append("|---" * (len(found) + 1) + "|")
    for name in WAYS:
        cells = [
            f"{rates[name]:,.0f} ({rates[name] / rates['non-private']:.2f})"
            for rates in found.values()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", help="where to write the figures as JSON")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = {batch: measured(batch, steps=given.steps) for batch in given.batches}
    print(markdown(found))
    if given.out:
        record = {
            "network": f"{sum(SIZES)}-{HIDDEN}-{HIDDEN}-{sum(SIZES)}",
            "rows": ROWS,
            "threads": 1,
            "torch": torch.__version__,
            "samples_per_cpu_second": found,
            "share_of_non_private": {
                batch: {name: rate / rates["non-private"] for name, rate in rates.items()}
                for batch, rates in found.items()
            },
        }
        Path(given.out).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
