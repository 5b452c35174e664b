"""The CLI's own file of defaults (`oci_cli_rc`): which one is read, and what it says.

What belongs here: the order in which the file is looked for, and the keys under which a default
for an option of a command can stand. What does not: which settings there are (`config.py`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ocihaul.config.ini import is_file, read_ini, with_inherited

_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})")


@dataclass(frozen=True, slots=True)
class RcFile:
    """One file of defaults; an empty one when there is none.

    `settings` is its section OCI_CLI_SETTINGS, `queries` maps the names of canned queries to
    their text, `aliases` maps an option to the other names it has been given.
    """

    path: Path | None = None
    sections: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    queries: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def default(self, profile: str, command: Sequence[str], *names: str) -> str | None:
        """The default of an option called `names` (without dashes) of `command`.

        The most specific key wins: `os.object.put.name`, then `os.object.name`, `os.name`, `name`.
        """
        values = self.sections.get(profile, {})
        every = [*names, *(alias for name in names for alias in self.aliases.get(name, ()))]
        for depth in range(len(command), -1, -1):
            prefix = "".join(f"{word}." for word in command[:depth])
            for name in every:
                if (value := values.get(f"{prefix}{name}".lower())) is not None:
                    return value
        return None


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
    aliases: dict[str, list[str]] = {}
    for alias, canonical in raw.get("OCI_CLI_PARAM_ALIASES", {}).items():
        aliases.setdefault(canonical.lstrip("-"), []).append(alias.lstrip("-"))
    return RcFile(
        path=path,
        sections=sections,
        settings=raw.get("OCI_CLI_SETTINGS", {}),
        queries=raw.get("OCI_CLI_CANNED_QUERIES", {}),
        aliases=aliases,
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
