"""Commands that ocihaul does not have itself go to the official CLI, word for word.

What belongs here: noticing that a command is not ours, and handing the command line on.
"""

import os
import sys
from collections.abc import Sequence

import click

from ocihaul.cli.aliases import command_name, without_aliases
from ocihaul.cli.exit_codes import USAGE
from ocihaul.cli.lazy import LazyGroup

#: Our own options, which the official CLI does not know: (option, takes a value). They stay in
#: force by their variables.
_OURS = {
    "--auth-endpoint": True,
    "--renew-with": True,
    "--session-wait": True,
    "--on-park": True,
    "--login": True,
    "--expected-rate": True,
    "--bandwidth": True,
    "--require-session": False,
    "--log-format": True,
    "--log-file": True,
    "--progress-interval": True,
    "--on-finish": True,
    "--on-failure": True,
    "--metrics-file": True,
    "--report": True,
    "--notify": True,
    "--quiet": False,
    "--verbose": False,
}


class UnknownCommand(Exception):
    """The command line names a command that only the official CLI may have.

    `near` is one of our own that may be meant; `below` says whether it is in a group of ours.
    """

    def __init__(self, name: str, near: str | None, *, below: bool) -> None:
        super().__init__(name)
        self.name = name
        self.near = near
        self.below = below


class Tree(LazyGroup):
    """A group whose unknown commands are the official CLI's."""

    # A group that is made in this one is of the same kind.
    group_class = type

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Click's, but a name that is not ours ends the parsing: what follows is not for us."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            name = command_name(ctx, args[0], args[1:])
            if self.get_command(ctx, name) is None:
                from ocihaul.cli.nearest import nearest_command

                near = nearest_command(ctx, args)
                raise UnknownCommand(args[0], near, below=ctx.parent is not None)
            args = [name, *args[1:]]
        resolved, command, rest = super().resolve_command(ctx, args)
        if command is not None and not isinstance(command, Tree):
            rest = without_aliases(ctx, command, rest)
        return resolved, command, rest

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's, with the names that options have in the rc file."""
        return super().parse_args(ctx, without_aliases(ctx, self, args))


def run_elsewhere(argv: Sequence[str], unknown: UnknownCommand) -> int:
    """Run `argv` as a command line of the official CLI; returns its exit status.

    What is near to one of our own commands, and no service of the official CLI, is a typing error.
    """
    from ocihaul.integrations import extras, oci_cli
    from ocihaul.printing import say

    name = unknown.name
    if unknown.near is not None and (unknown.below or not oci_cli.has_service(name)):
        say(
            sys.stderr,
            f"Error: there is no command {name!r}. Did you mean: {unknown.near}",
            f"See '{unknown.near} --help', or 'ocihaul --help' for all commands.",
        )
        return USAGE
    if not oci_cli.is_installed():
        say(
            sys.stderr,
            f"Error: ocihaul has no command {name!r} of its own. The official CLI's commands run "
            "here too, on a session that stays alive, once it is installed:",
            extras.installing(extras.OCI_CLI),
            "See ocihaul --help for the commands that need nothing else.",
        )
        return USAGE
    theirs, ours = split(argv)
    os.environ.update(ours)
    return oci_cli.run(theirs)


def split(argv: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The command line without our own options, and these as environment variables."""
    theirs: list[str] = []
    ours: dict[str, str] = {}
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in _OURS:
            theirs.append(word)
            continue
        if _OURS[name] and not equals:
            value = next(words, "")
        variable = f"OCIHAUL_{name.lstrip('-').upper().replace('-', '_')}"
        ours[variable] = value if _OURS[name] else "true"
    return theirs, ours
