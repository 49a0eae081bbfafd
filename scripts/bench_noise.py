# OpenDP's prelude re-exports its names at run time only.
# pyright: reportPrivateImportUsage=false
"""Time private integer noise: this project's exact samplers beside OpenDP and diffprivlib.

    python scripts/bench_noise.py [--draws 1000000]

Everything is measured in this run, best of three, single-threaded. Slow samplers draw fewer
numbers and their time is scaled up to `--draws`; the table says how many they drew. NumPy's
normal is the floor: fast, and not safe to release.
"""

import argparse
from collections.abc import Callable, Iterator
from time import perf_counter

import numpy as np

from dpsynth.privacy.events import NoiseLaw
from dpsynth.privacy.noise import ReleaseNoise

Draw = Callable[[int], object]
SIGMAS = (1.0, 10.0, 100.0, 1000.0)


def seconds(draw: Draw, n: int) -> float:
    """Best of three runs of `draw(n)`."""
    best = float("inf")
    for _ in range(3):
        start = perf_counter()
        draw(n)
        best = min(best, perf_counter() - start)
    return best


def ours(spread: float) -> Iterator[tuple[str, Draw]]:
    noise = ReleaseNoise()
    for law in (NoiseLaw.DISCRETE, NoiseLaw.ROUNDED):
        yield f"{law} Gaussian", lambda n, law=law: noise.gaussian(spread, n, law=law)
        yield f"{law} Laplace", lambda n, law=law: noise.laplace(spread, n, law=law)


def opendp(spread: float) -> Iterator[tuple[str, Draw]]:
    try:
        import opendp.prelude as dp
    except ImportError:
        return
    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T=int))
    gaussian = dp.m.make_gaussian(domain, dp.l2_distance(T=float), scale=spread)
    laplace = dp.m.make_laplace(domain, dp.l1_distance(T=int), scale=spread)
    yield "OpenDP discrete Gaussian", lambda n: gaussian([0] * n)
    yield "OpenDP discrete Laplace", lambda n: laplace([0] * n)


def diffprivlib(spread: float) -> Iterator[tuple[str, Draw]]:
    try:
        from diffprivlib.mechanisms import GaussianDiscrete, Geometric
    except ImportError:
        return
    # It derives sigma from (epsilon, delta) and offers no way to state it, so sigma is set inside.
    gaussian = GaussianDiscrete(epsilon=1.0, delta=1e-5, random_state=None)
    gaussian._scale = spread
    laplace = Geometric(epsilon=1.0 / spread)
    yield "diffprivlib discrete Gaussian", lambda n: [gaussian.randomise(0) for _ in range(n)]
    yield "diffprivlib discrete Laplace", lambda n: [laplace.randomise(0) for _ in range(n)]


def numpy_normal(spread: float) -> Iterator[tuple[str, Draw]]:
    rng = np.random.default_rng(0)
    yield "NumPy normal (unsafe)", lambda n: rng.normal(0.0, spread, n)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--draws", type=int, default=1_000_000)
    total = parser.parse_args().draws
    print(f"seconds for {total:,} integers; x = times the time of ours of the same law")
    for sigma in SIGMAS:
        print(f"\nsigma (Laplace: scale) {sigma:g}")
        reference: dict[str, float] = {}
        for samplers, fraction in ((ours, 1), (numpy_normal, 1), (opendp, 20), (diffprivlib, 1000)):
            drawn = max(total // fraction, 1)
            for name, draw in samplers(sigma):
                taken = seconds(draw, drawn) * total / drawn
                family = "Laplace" if name.endswith("Laplace") else "Gaussian"
                base = reference.setdefault(family, taken)
                scaled = "" if fraction == 1 else f"  (from {drawn:,} draws)"
                print(f"  {name:32}{taken:9.3f} s {taken / base:9.1f} x{scaled}")


if __name__ == "__main__":
    main()
