"""The names that a person has given to options and commands, in the rc file.

As in the official CLI (https://docs.oracle.com/iaas/Content/API/SDKDocs/cliconfigure.htm): an
option alias counts everywhere; a command alias is `ls = list`, for every command `list`, or
`rm = os.object.delete`, for `delete` in `os object`. A name of our own always means what it means.
The rc file is read only where a word is not one of them.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from ocihaul.cli.environment import environment_and_home
from ocihaul.cli.global_options import Given
from ocihaul.cli.option_types import OptionalHours

if TYPE_CHECKING:
    from ocihaul.config import RcFile

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
