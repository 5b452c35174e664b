"""The CLI's own file of defaults (`oci_cli_rc`): which one is read, and what it says.

What belongs here: the order in which the file is looked for, and the keys under which a default
for an option of a command can stand. What does not: which settings there are (`config.py`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from ocihaul.config.ini import is_file, read_ini, with_inherited

_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})")


@dataclass(frozen=True, slots=True)
class RcFile:
    """One file of defaults; an empty one when there is none.

    `settings` is its section OCI_CLI_SETTINGS, `queries` maps the names of canned queries to
    their text. `param_aliases` maps another name of an option to its own (`--ad` to
    `--availability-domain`), `command_aliases` that of a command to its own, or to its whole
    path (`rm` to `os.object.delete`).
    """

    path: Path | None = None
    sections: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    queries: Mapping[str, str] = field(default_factory=dict)
    param_aliases: Mapping[str, str] = field(default_factory=dict)
    command_aliases: Mapping[str, str] = field(default_factory=dict)

    def default(self, profile: str, command: Sequence[str], *names: str) -> str | None:
        """The default of an option called `names` (without dashes) of `command`.

        The most specific key wins: `os.object.put.name`, then `os.object.name`, `os.name`, `name`.
        A key may have aliases in the place of names.
        """
        values = self.sections.get(profile, {})
        every = [*names]
        for alias, canonical in self.param_aliases.items():
            if canonical.lstrip("-") in names:
                every.append(alias.lstrip("-"))
        for depth in range(len(command), -1, -1):
            words = [self._names(command[: place + 1]) for place in range(depth)]
            for *path, name in product(*words, every):
                if (value := values.get(".".join([*path, name]).lower())) is not None:
                    return value
        return None

    def _names(self, path: Sequence[str]) -> list[str]:
        """The last command of `path`, by its own name and by its aliases."""
        own = {path[-1], ".".join(path)}
        return [path[-1], *(name for name, what in self.command_aliases.items() if what in own)]


def find_rc_file(
    given: str | None, *, environ: Mapping[str, str], home: Path
) -> tuple[Path | None, str | None]:
    """Where the defaults are read from, and a notice if that is not where it was asked for.

    The order is that of the stock CLI: `given` (`--cli-rc-file`), OCI_CLI_RC_FILE,
    `~/.oci/oci_cli_rc`, `~/.oci/cli-defaults`; the first that exists.
    """
    wanted = [
        (text, expand(text, environ=environ, home=home))
        for text in (given, environ.get("OCI_CLI_RC_FILE"))
        if text
    ]
    usual = [home / ".oci" / "oci_cli_rc", home / ".oci" / "cli-defaults"]
    found = next((path for path in [*(p for _, p in wanted), *usual] if is_file(path)), None)
    if given and wanted and found != wanted[0][1]:
        return found, f"the rc file {wanted[0][1]} does not exist; using {found or 'none'}"
    return found, None


def load_rc_file(path: Path | None, *, environ: Mapping[str, str]) -> RcFile:
    """Read the file at `path`; raises ConfigError when it is broken."""
    if path is None:
        return RcFile()
    raw = read_ini(path)
    sections = {
        name: {
            key: expand_variables(value, environ)
            for key, value in with_inherited(raw, name).items()
        }
        for name in {*raw, "DEFAULT"}
    }
    return RcFile(
        path=path,
        sections=sections,
        settings=raw.get("OCI_CLI_SETTINGS", {}),
        queries=raw.get("OCI_CLI_CANNED_QUERIES", {}),
        param_aliases=raw.get("OCI_CLI_PARAM_ALIASES", {}),
        command_aliases=raw.get("OCI_CLI_COMMAND_ALIASES", {}),
    )


def expand(text: str, *, environ: Mapping[str, str], home: Path) -> Path:
    """A path as a person writes it: with `~` and `$VARIABLES`."""
    return expand_home(expand_variables(text, environ), home)


def expand_home(text: str, home: Path) -> Path:
    """`~` is `home`; `~user` is asked of the system."""
    if text == "~" or text.startswith(("~/", "~\\")):
        return home / text[2:]
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user: then it is a file with an odd name
        return path


def expand_variables(text: str, environ: Mapping[str, str]) -> str:
    """`$NAME` and `${NAME}` are replaced where the variable is set."""
    return _VARIABLE.sub(lambda m: environ.get(m[1] or m[2] or "", m[0]), text)
