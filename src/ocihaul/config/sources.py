"""The CLI's own file of defaults (`oci_cli_rc`): which one is read, and what it says.

What belongs here: the order in which the file is looked for, and the keys under which a default
for an option of a command can stand. What does not: which settings there are (`config.py`).
"""

import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from ocihaul.config.ini import is_file, path_exists, read_ini, with_inherited
from ocihaul.config.settings import Flags, Found
from ocihaul.errors import ConfigError


def login_command(profile: str | None = None) -> str:
    """The command that makes a new login, as texts name it; a command line gives it its flags."""
    return "`ocihaul session login`" + (f" (profile {profile!r})" if profile else "")


#: What `login_command` returns, with the profile as Python writes a text.
_LOGIN = re.compile(
    r"""`ocihaul session login`(?: \(profile ('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\))?"""
)


def with_logins(text: str, command: Callable[[str | None], str]) -> str:
    """`text` with what `command` returns for each `login_command`, by its profile."""
    from ast import literal_eval  # noqa: PLC0415  dear, and seldom needed

    return _LOGIN.sub(lambda found: command(literal_eval(found[1]) if found[1] else None), text)


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

    The order is that of the official CLI: `given` (`--cli-rc-file`), OCI_CLI_RC_FILE,
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


DEFAULT_CONFIG_FILE = "~/.oci/config"
TRUE = frozenset({"true", "1", "yes", "on", "y", "t"})

_ENV_ONLY = ("OCI_CLI_USER", "OCI_CLI_TENANCY", "OCI_CLI_FINGERPRINT")


@dataclass(frozen=True, slots=True)
class Section:
    """A profile of the config file; `path` is None in env-only mode. `own` is not inherited."""

    path: Path | None
    name: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    own: frozenset[str] = frozenset()

    def where(self) -> str:
        return f"{self.path}, section [{self.name}]" if self.path else "the environment"


@dataclass(frozen=True, slots=True)
class Places:
    """The places that are asked for a setting, in the order in which they are asked."""

    environ: Mapping[str, str]
    rc: RcFile
    profile: str
    command: Sequence[str]

    def parameter(self, name: str, value: str | None) -> Found | None:
        """What the caller gave as the parameter `name`, if anything."""
        return Found(value, f"`{name}`") if value else None

    def env(self, name: str) -> Found | None:
        value = self.environ.get(name, "")
        return Found(value, name) if value else None

    def default(self, *names: str) -> Found | None:
        value = self.rc.default(self.profile, self.command, *names)
        return Found(value, f"{self.rc.path}, section [{self.profile}]") if value else None

    def setting(self, name: str) -> Found | None:
        value = self.rc.settings.get(name)
        return Found(value, f"{self.rc.path}, section [OCI_CLI_SETTINGS]") if value else None

    def is_on(self, flag: bool, variable: str, *names: str) -> bool:
        if flag:
            return True
        found = self.default(*names) or self.env(variable)
        return found is not None and found.value.strip().lower() in TRUE


def load_rc(flags: Flags, environ: Mapping[str, str], home: Path) -> RcFile:
    """The file of defaults that these flags and this environment lead to."""
    path, _ = find_rc_file(flags.cli_rc_file, environ=environ, home=home)
    return load_rc_file(path, environ=environ)


def profile_name(flags: Flags, environ: Mapping[str, str], rc: RcFile) -> str:
    """The profile in use: flag, OCI_CLI_PROFILE, the rc file's default_profile, DEFAULT."""
    return (
        flags.profile
        or environ.get("OCI_CLI_PROFILE")
        or rc.settings.get("default_profile")
        or "DEFAULT"
    )


def config_file_path(flags: Flags, environ: Mapping[str, str], home: Path) -> Path:
    """Where the config file is, or should be."""
    given = flags.config_file if flags.config_file != DEFAULT_CONFIG_FILE else None
    if text := given or environ.get("OCI_CLI_CONFIG_FILE"):
        return expand_home(text, home)
    usual, old = expand_home(DEFAULT_CONFIG_FILE, home), home / ".oraclebmc" / "config"
    if is_file(usual):
        return usual
    if text := environ.get("OCI_CONFIG_FILE"):
        return expand_home(text, home)
    return old if is_file(old) else usual


def read_section(
    flags: Flags, places: Places, home: Path, *, region_known: bool, optional: bool = False
) -> Section:
    """The profile in use; an `optional` one may be missing, file and all. Raises ConfigError."""
    name = places.profile
    has_key = bool(places.env("OCI_CLI_KEY_FILE") or places.env("OCI_CLI_KEY_CONTENT"))
    if region_known and has_key and all(places.env(variable) for variable in _ENV_ONLY):
        return Section(None, name)
    path = config_file_path(flags, places.environ, home)
    if not path_exists(path):
        if optional or (has_key and places.env("OCI_CLI_SECURITY_TOKEN_FILE")):
            return Section(None, name)
        raise ConfigError(
            f"there is no configuration file {path}",
            hint=f"Make it with: {login_command(name)}; or name another one with `config_file` "
            "or OCI_CLI_CONFIG_FILE.",
        )
    sections = read_ini(path)
    if name not in sections and name != "DEFAULT" and not optional:
        others = ", ".join(sections) or "none"
        raise ConfigError(
            f"{path} has no profile {name!r}; the profiles in it are: {others}",
            hint=f"Choose one with `profile`, or make it with: {login_command(name)}",
        )
    section = Section(path, name, with_inherited(sections, name), frozenset(sections.get(name, {})))
    if section.values.get("key_content"):
        raise ConfigError(
            f"{section.where()}: key_content must not stand in a file",
            hint="Put the key in a file of its own and name it with key_file, or put it in "
            "OCI_CLI_KEY_CONTENT.",
        )
    return section


def profile_names(flags: Flags, environ: Mapping[str, str], home: Path) -> tuple[str, ...]:
    """The profiles of the config file. Raises ConfigError when it cannot be read."""
    return tuple(read_ini(config_file_path(flags, environ, home)))


def from_file(section: Section, key: str) -> Found | None:
    value = section.values.get(key, "").strip()
    return Found(value, f"{section.where()}: {key}") if value else None


def existing_file(found: Found, what: str, home: Path, *, cure: str) -> Path:
    path = expand_home(found.value, home)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(
            f"{found.origin} names {path}, where {what} should be: {error.strerror}",
            hint=f"Correct the path (in a container, check the mount), or log in with: {cure}",
        ) from None
    if stat.S_ISDIR(mode):
        raise ConfigError(
            f"{found.origin} names {path}, where {what} should be: it is a directory",
            hint="Name the file itself.",
        )
    return path
