"""The verbs of env: environments for programs of someone else's."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpsynth.cli.output import print_table

if TYPE_CHECKING:
    from dpsynth.third_party.environments import Environment

_place = click.option(
    "--path",
    metavar="FOLDER",
    help="Where environments are; by default $DPSYNTH_ENVIRONMENTS, or the user's cache.",
)


@click.group()
def env() -> None:
    """Make environments for third-party generators, each with its own pins."""


@env.command("list")
@_place
def list_(path: str | None) -> None:
    """List the third parties, whether their environments are made, and what they can run.

    In an experiment a generator is written "env:ENVIRONMENT/MECHANISM".
    """
    from dpsynth.third_party.catalogue import find_peer, known_peers

    peers = [find_peer(name) for name in known_peers()]
    print_table(
        ["environment", "state", "python", "mechanisms"],
        [
            [
                peer.name,
                _environment(peer.name, path).state,
                " or ".join(peer.pythons),
                " ".join(peer.mechanisms),
            ]
            for peer in peers
        ],
    )
    for peer in peers:
        if peer.remark:
            said = f"{peer.name}: {peer.remark}."
            click.echo(click.wrap_text(said, width=80, subsequent_indent="  "))


@env.command()
@click.argument("name")
@_place
@click.option("--cuda", is_flag=True, help="Take a CUDA build of PyTorch if there is no other.")
def create(name: str, *, path: str | None, cuda: bool) -> None:
    """Make the environment NAME from the pins that come with this package.

    Only this verb reaches a package registry: experiments use what is made, or leave it out.
    """
    environment = _environment(name, path)
    if environment.state == "ready":
        click.echo(f"{environment.home}: ready already.")
        return
    click.echo(f"making {environment.home}; packages are fetched ...", err=True)
    environment.create(cuda=cuda)
    click.echo(f"{environment.home}: ready.")


@env.command()
@click.argument("name")
@_place
def remove(name: str, path: str | None) -> None:
    """Delete the environment NAME."""
    environment = _environment(name, path)
    environment.remove()
    click.echo(f"{environment.home}: removed.")


def _environment(name: str, path: str | None) -> "Environment":
    from dpsynth.third_party.catalogue import find_peer

    return find_peer(name).environment(None if path is None else Path(path).absolute())
