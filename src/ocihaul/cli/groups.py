"""Groups of commands: each command is imported when it is asked for, and may have other names.

What belongs here: how a word of the command line leads to a command. It may be one of ours, an
alias of the rc file, a typing error, or a command that only the official CLI has: then the command
line is handed on, word for word.

Aliases are those of the official CLI (https://docs.oracle.com/iaas/Content/API/SDKDocs/cliconfigure.htm):
an option alias counts everywhere; a command alias is `ls = list`, for every command `list`, or
`rm = os.object.delete`, for `delete` in `os object`. A name of our own always means what it means.
The rc file is read only where a word is not one of them.
"""

import os
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.options import OptionalHours
from ocihaul.cli.process import USAGE, environment_and_home

if TYPE_CHECKING:
    from ocihaul.config import RcFile


class HelpCommand(click.Command):
    """A command whose help has groups and examples."""

    @classmethod
    def of(cls, command: click.Command) -> click.Command:
        """The same command with such help; what has a class of its own stays as it is."""
        if type(command) is not click.Command:
            return command
        return cls(
            name=command.name,
            context_settings=command.context_settings,
            callback=command.callback,
            params=command.params,
            help=command.help,
            epilog=command.epilog,
            short_help=command.short_help,
            options_metavar=command.options_metavar,
            add_help_option=command.add_help_option,
            no_args_is_help=command.no_args_is_help,
            hidden=command.hidden,
            deprecated=command.deprecated,
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Click's, in groups."""
        from ocihaul.cli.help import write_options

        write_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Where the global options are, and the examples."""
        super().format_epilog(ctx, formatter)
        from ocihaul.cli.help import write_end

        write_end(ctx, formatter)


class LazyGroup(click.Group):
    """A group whose commands may be known by their places alone, and groups by their names."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._places: dict[str, str] = {}
        self._groups: dict[str, tuple[str, Mapping[str, str]]] = {}

    def add_places(self, places: Mapping[str, str]) -> None:
        """Add commands by name; a place is `module:attribute`, the module one of this package."""
        self._places.update(places)

    def add_groups(self, groups: Mapping[str, tuple[str, Mapping[str, str]]]) -> None:
        """Add groups of commands by name: what each is about, and the places of its commands."""
        self._groups.update(groups)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return sorted({*super().list_commands(ctx), *self._places, *self._groups})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported if need be."""
        command: click.Command | None
        if cmd_name in self._places:
            module, _, attribute = self._places[cmd_name].partition(":")
            command = getattr(import_module(f"ocihaul.cli.{module}"), attribute)
            if not isinstance(command, click.Command):
                raise TypeError(f"{self._places[cmd_name]} is no command")
        elif cmd_name in self._groups:
            command = self._made_group(cmd_name)
        else:
            command = super().get_command(ctx, cmd_name)
        if type(command) is click.Command:
            return HelpCommand.of(command)
        return command

    def _made_group(self, name: str) -> click.Command:
        """A group that was asked for: each has all global options, so they take their time."""
        text, places = self._groups.pop(name)
        group = click.group(name, cls=type(self), help=text)(global_options(hidden=True)(_nothing))
        group.add_places(places)
        self.add_command(group)
        return group

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Click's, in groups; the commands follow."""
        from ocihaul.cli.help import write_options

        write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Click's, but each with its whole first sentence."""
        from ocihaul.cli.help import write_commands

        write_commands(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Where the global options are."""
        super().format_epilog(ctx, formatter)
        from ocihaul.cli.help import write_end

        write_end(ctx, formatter)


def _nothing() -> None:
    """A group does nothing of its own."""


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


_RC_OPTIONS = ("--cli-rc-file", "--defaults-file")


def command_name(context: click.Context, word: str, words: Sequence[str]) -> str:
    """What the alias `word` stands for in the group of `context`; `word` itself if it is none.

    `words` is the rest of the command line: it may name another rc file.
    """
    target = _rc_file(context, words).command_aliases.get(word.lower())
    if target is None:
        return word
    *group, name = target.split(".")
    return name if not group or group == _path(context) else word


def without_aliases(
    context: click.Context, command: click.Command, words: Sequence[str]
) -> list[str]:
    """The command line `words` of `command`, its options by their own names."""
    if command.context_settings.get("ignore_unknown_options"):
        return list(words)  # they are another program's
    known = {name: each for each in command.params for name in (*each.opts, *each.secondary_opts)}
    interspersed = command.context_settings.get("allow_interspersed_args", True)
    aliases: Mapping[str, str] | None = None
    settled: list[str] = []
    rest = deque(words)
    while rest and rest[0] != "--":
        name, equals, value = rest[0].partition("=")
        if not name.startswith("-") or name == "-":
            if isinstance(command, click.Group) or not interspersed:
                break  # a command, which has options of its own
        elif name not in known and name not in context.help_option_names:
            if aliases is None:
                aliases = _rc_file(context, words).param_aliases
            canonical = aliases.get(name.lower(), name)
            name = canonical if canonical in known else name
        settled.append(f"{name}{equals}{value}")
        rest.popleft()
        option = known.get(name)
        if rest and not equals and isinstance(option, click.Option) and _takes(option, rest[0]):
            settled.append(rest.popleft())
    return [*settled, *rest]


def _takes(option: click.Option, word: str) -> bool:
    """Whether `word`, which stands behind the option, is its value."""
    if option.is_flag or option.count:
        return False
    return not (isinstance(option.type, OptionalHours) and word.startswith("-"))


def _path(context: click.Context) -> list[str]:
    """The names of the groups, but for the program's own."""
    names = []
    here: click.Context | None = context
    while here is not None and here.parent is not None:
        names.append(here.info_name or "")
        here = here.parent
    return names[::-1]


def _rc_file(context: click.Context, words: Sequence[str]) -> "RcFile":
    from ocihaul.config import load_rc
    from ocihaul.config.settings import Flags

    given: str | None = context.ensure_object(Given).values.get("cli_rc_file")
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in _RC_OPTIONS:
            given = value if equals else "".join(words[index + 1 : index + 2])
    environ, home = environment_and_home()
    return load_rc(Flags(cli_rc_file=given), environ, home)


#: How much of a word has to be right: `objet` is `object`, and `compute` is not `completion`.
_CLOSE = 0.72
#: Shorter words are near to too much, and of three letters hardly any may be wrong.
_SHORTEST, _CLOSE_IF_SHORT = 3, 0.85
#: Where a command is looked for that is called by its last word alone: `put`, `login`.
_LAST_WORDS = (("os", "object"), ("session",))
#: Names in our groups that only the official CLI has, and that are near one of ours.
_OFFICIAL = frozenset({"replication", "private-endpoint"})


def nearest_command(context: click.Context, words: Sequence[str]) -> str | None:
    """The command line that `words` are near to, as far as it has commands; None for none.

    The first of `words` is no command in the group of `context`. Below the root, each one that
    follows is corrected, too.
    """
    group = context.command
    path, here = context.command_path, context
    found = False
    for word in words:
        if word.startswith("-") or not isinstance(group, click.Group):
            break
        name = _nearest(group, here, word)
        command = None if name is None else group.get_command(here, name)
        if name is None or command is None:
            break
        found = True
        path = f"{path} {name}"
        group, here = command, click.Context(command, info_name=name, parent=here)
    return path if found else _by_last_word(context.find_root(), words[0])


def _by_last_word(root: click.Context, word: str) -> str | None:
    for groups in _LAST_WORDS:
        here: click.Command | None = root.command
        for name in groups:
            here = here.get_command(root, name) if isinstance(here, click.Group) else None
        if isinstance(here, click.Group) and word in here.list_commands(root):
            return None if _is_hidden(here, word) else " ".join([root.command_path, *groups, word])
    return None


def _nearest(group: click.Group, context: click.Context, word: str) -> str | None:
    import difflib

    names = [name for name in group.list_commands(context) if not _is_hidden(group, name)]
    if word.lower() in names:
        return word.lower()
    if word in _OFFICIAL or len(word) < _SHORTEST:
        return None
    close = _CLOSE if len(word) > _SHORTEST else _CLOSE_IF_SHORT
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=close)
    return near[0] if near else None


def _is_hidden(group: click.Group, name: str) -> bool:
    command = group.commands.get(name)  # one that is not imported yet is not hidden
    return command is not None and command.hidden
