"""What the verb evaluate does with --private: scores that are charged, and may be published."""

from dataclasses import asdict

import click

from dpsynth.cli.output import print_table, write_json


def judge_privately(
    real: str,
    synthetic: str,
    schema_path: str,
    bought: tuple[float | None, float, str],
    receipt: str | None,
    *,
    seed: int | None,
    out: str | None,
) -> None:
    """Print noisy scores of a synthetic file, and what they spent on the real one.

    Args:
        real, synthetic, schema_path: files.
        bought: epsilon, delta and the relation of neighbours.
        receipt: where the receipt goes.
        seed: of research mode.
        out: where the scores go as JSON.

    Raises:
        InvalidValueError: no epsilon.
    """
    from dpsynth.atomic import check_writable, write_atomically
    from dpsynth.data.schema import Schema
    from dpsynth.errors import InvalidValueError
    from dpsynth.private_evaluation import evaluate_privately

    epsilon, delta, relation = bought
    if epsilon is None:
        raise InvalidValueError("--epsilon", None, "given with --private")
    for path in (out, receipt):
        if path is not None:
            check_writable(path)
    found = evaluate_privately(
        real,
        synthetic,
        Schema.load(schema_path),
        epsilon=epsilon,
        delta=delta,
        relation=relation,
        seed=seed,
    )
    print_table(
        ["metric", "sets", "value", "lower", "upper", "noise"],
        [[s.metric, s.sets, s.value, s.lower, s.upper, s.noise] for s in found.scores],
    )
    click.echo(found.receipt.summary())
    if out is not None:
        write_json([asdict(s) for s in found.scores], out)
    if receipt is not None:
        write_atomically(receipt, found.receipt.to_json().encode())
