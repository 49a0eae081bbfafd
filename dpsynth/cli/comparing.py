"""The verb compare: which generator of a store is better, and the leaderboard page."""

from typing import TYPE_CHECKING

import click

from dpsynth.cli.options import check_seed
from dpsynth.cli.output import UNPROTECTED, print_table

if TYPE_CHECKING:
    from dpsynth.report.ranking import Ranking


@click.command()
@click.argument("store")
@click.option("--out", metavar="FOLDER", help="Where the page goes; by default STORE/leaderboard.")
@click.option("--metric", "metrics", multiple=True, help="Its label; by default all.")
@click.option("--generator", "generators", multiple=True, help="Its label; by default all.")
@click.option("--epsilon", type=float, help="Compare at this budget alone.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of resampling.")
def compare(
    store: str,
    *,
    out: str | None,
    metrics: tuple[str, ...],
    generators: tuple[str, ...],
    epsilon: float | None,
    seed: int,
) -> None:
    """Rank the generators of a results STORE, and write its leaderboard page."""
    import numpy as np

    from dpsynth.report.leaderboard import rankings, write_leaderboard

    rows, found = rankings(
        store,
        rng=np.random.default_rng(check_seed(seed)),
        metrics=metrics,
        generators=generators,
        epsilon=epsilon,
    )
    for ranking in found:
        _print_ranking(ranking)
    page = write_leaderboard(store, out or f"{store}/leaderboard", rows, found)
    click.echo(UNPROTECTED)
    click.echo(f"wrote {page}")


def _print_ranking(ranking: "Ranking") -> None:
    better = "higher" if ranking.higher_is_better else "lower"
    click.echo(f"{ranking.metric} ({better} is better), {ranking.blocks} blocks:")
    print_table(
        ["generator", "mean rank", "score", "lower", "upper", "win rate", "beats", "failed"],
        [
            [
                s.generator if s.verified else f"{s.generator} (not verified)",
                s.mean_rank,
                s.score.value,
                s.score.lower,
                s.score.upper,
                s.win_rate,
                s.better,
                s.failed,
            ]
            for s in ranking.standings
        ],
    )
