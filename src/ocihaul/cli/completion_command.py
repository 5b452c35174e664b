"""`ocihaul completion SHELL`: the script that makes a shell complete our command lines."""

import sys
from importlib.resources import files

import click

from ocihaul.cli.global_options import global_options

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@global_options(hidden=True)
def completion(shell: str) -> None:
    """Print the script that completes commands, options and their values in a SHELL.

    Files, profiles and regions are completed, and buckets where a session is alive. It has to be
    read by the shell: eval "$(ocihaul completion bash)" in ~/.bashrc, the same with zsh in
    ~/.zshrc; for fish write it to ~/.config/fish/completions/ocihaul.fish.
    """
    from ocihaul.printing import write_lines

    write_lines(sys.stdout, script_of(shell).splitlines())


def script_of(shell: str) -> str:
    """The script for one of SHELLS."""
    place = files("ocihaul.cli").joinpath("completion_scripts", f"ocihaul.{shell}")
    return place.read_text(encoding="utf-8")
