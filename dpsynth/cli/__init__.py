"""The command `dpsynth`: a thin shell over the library.

A mistake of the user's is one sentence on standard error and exit code 2; anything unexpected shows
its traceback. Heavy imports wait until a verb needs them.
"""

import sys
import warnings
from collections.abc import Sequence

import click

from dpsynth import __version__
from dpsynth.cli.attacking import attack
from dpsynth.cli.benching import bench
from dpsynth.cli.claims import audit
from dpsynth.cli.comparing import compare
from dpsynth.cli.environments import env
from dpsynth.cli.experiments import report, sweep
from dpsynth.cli.importing import import_, split
from dpsynth.cli.inferring import infer
from dpsynth.cli.judging import evaluate
from dpsynth.cli.linking import sample_linked, synthesize_linked
from dpsynth.cli.planted import audit_planted
from dpsynth.cli.recommending import recommend
from dpsynth.cli.stores import compact, query, status
from dpsynth.cli.synthesizing import counterfactual, sample, schema, synthesize
from dpsynth.cli.tuning import tune
from dpsynth.cli.watching import drift
from dpsynth.errors import DpsynthError

MISTAKE = 2
INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="dpsynth %(version)s")
def cli() -> None:
    """Differentially private synthetic data: make it, judge it, audit it."""


for _command in (
    schema,
    recommend,
    synthesize,
    synthesize_linked,
    tune,
    sample,
    sample_linked,
    counterfactual,
    drift,
    infer,
    evaluate,
    audit,
    audit_planted,
    attack,
    sweep,
    status,
    compact,
    query,
    report,
    bench,
    env,
    compare,
    import_,
    split,
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code = cli.main(args=arguments, prog_name="dpsynth", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = 0
    except click.ClickException as error:
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        hint = f" See '{path} --help'." if path else ""
        code = _complain(error.format_message() + hint)
    except DpsynthError as error:
        where = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        code = _complain(f"{error}{where}")
    except (click.Abort, KeyboardInterrupt):
        click.echo("dpsynth: interrupted.", err=True)
        code = INTERRUPTED
    sys.exit(code)


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """Show a warning as the sentence that it is, without the place in the code."""
    click.echo(f"dpsynth: {message}", err=True)


def _complain(sentence: str) -> int:
    click.echo(f"dpsynth: {sentence}", err=True)
    return MISTAKE
