"""A typing error in a command's name: which of our own commands is meant."""

import difflib
from collections.abc import Sequence

import click

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
