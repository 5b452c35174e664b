"""Where a setting can stand: a flag, the environment, the rc file, a profile of the config file.

What belongs here: finding and reading those places, and saying in errors which one it was. What
a setting means is no business of this module.
"""

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ocihaul.config.found import Found
from ocihaul.config.ini import is_file, path_exists, read_ini, with_inherited
from ocihaul.config.login_command import login_command
from ocihaul.config.rcfile import RcFile, expand_home, find_rc_file, load_rc_file
from ocihaul.config.settings import Flags
from ocihaul.errors import ConfigError

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

    def flag(self, name: str, value: str | None) -> Found | None:
        return Found(value, name) if value else None

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
            hint=f"Make it with: {login_command(name)}; or name another one with --config-file "
            "or OCI_CLI_CONFIG_FILE.",
        )
    sections = read_ini(path)
    if name not in sections and name != "DEFAULT" and not optional:
        others = ", ".join(sections) or "none"
        raise ConfigError(
            f"{path} has no profile {name!r}; the profiles in it are: {others}",
            hint=f"Choose one with --profile, or make it with: {login_command(name)}",
        )
    section = Section(path, name, with_inherited(sections, name), frozenset(sections.get(name, {})))
    if section.values.get("key_content"):
        raise ConfigError(
            f"{section.where()}: key_content must not stand in a file",
            hint="Put the key in a file of its own and name it with key_file, or put it in "
            "OCI_CLI_KEY_CONTENT.",
        )
    return section


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
