"""Rows as a sweep leaves them, with scores of one's own."""

from collections.abc import Mapping

from dpsynth.harness.row import Row


def rows_of(
    scores: Mapping[tuple[str, str, float, int], float | None],
    *,
    metric: str = "tvd_2way",
    higher: bool = False,
    mode: str = "research",
) -> list[Row]:
    """Return rows of (data set, generator, epsilon, seed) -> score; None is a cell that failed."""
    rows = []
    for (dataset, generator, epsilon, seed), value in scores.items():
        base = {
            "cell": f"{dataset}-{generator}-{epsilon:g}-{seed}",
            "dataset": dataset,
            "generator": generator,
            "epsilon": epsilon,
            "delta": 1e-9,
            "relation": "add_remove",
            "seed": seed,
        }
        if value is None:
            rows.append(Row(**base, kind="run", metric="failed", value=1.0, status="crash"))
            continue
        rows.append(
            Row(
                **base,
                kind="utility",
                metric=metric,
                value=value,
                lower=value - 0.01,
                upper=value + 0.01,
                holdout=0.05,
                independent=0.5,
                higher_is_better=higher,
                mode=mode,
            )
        )
        rows.append(Row(**base, kind="run", metric="seconds fit", value=1.0 + len(generator)))
    return rows
