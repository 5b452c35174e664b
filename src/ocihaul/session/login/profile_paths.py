"""Find the paths of a profile's files, in the official CLI's layout, and check them.

The checks come before a person is sent to a browser. `profile_files` writes the files.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ocihaul.config.ini import path_exists, read_ini
from ocihaul.config.sources import expand_home
from ocihaul.errors import ConfigError, CredentialError, UsageError

KEY_NAME = "oci_api_key.pem"
PUBLIC_KEY_NAME = "oci_api_key_public.pem"
TOKEN_NAME = "token"  # noqa: S105  a file's name

_PROFILE_NAME = re.compile(r"[A-Za-z0-9._\-@]+")


@dataclass(frozen=True, slots=True)
class ProfilePaths:
    """Where the files of a profile are, or will be."""

    profile: str
    config_file: Path
    directory: Path
    #: The section names key and token there already and stays as it is: a `~/…` in it may be
    #: another directory in a container.
    named: bool = False

    @property
    def key_file(self) -> Path:
        """The private key."""
        return self.directory / KEY_NAME

    @property
    def public_key_file(self) -> Path:
        """The public key."""
        return self.directory / PUBLIC_KEY_NAME

    @property
    def token_file(self) -> Path:
        """The session token."""
        return self.directory / TOKEN_NAME


def check_profile_name(name: str) -> str:
    """Return `name` if it can be a section and a directory, by the official CLI's rule.

    Raises UsageError.
    """
    if not _PROFILE_NAME.fullmatch(name) or name in {".", ".."}:
        raise UsageError(
            f"invalid profile name: {name!r} (letters, digits and the characters . _ - @)",
        )
    return name


def find_paths(
    profile: str, *, config_file: Path, token_location: Path | None, home: Path
) -> ProfilePaths:
    """Return the paths for a new session of `profile`.

    Without `token_location` a profile with files in this layout keeps them where they are (programs
    that use them find the new session), and any other gets `~/.oci/sessions/<profile>`.
    Raises UsageError for a bad name, ConfigError for a config file that cannot be edited.
    """
    check_profile_name(profile)
    section = _section(config_file, profile)
    directory = None if token_location else session_directory(section, home)
    if directory is not None:
        return ProfilePaths(profile, config_file, directory.absolute(), directory.is_absolute())
    directory = (token_location or home / ".oci" / "sessions").absolute() / profile
    return ProfilePaths(profile, config_file, directory)


def present_paths(
    profile: str, *, config_file: Path, token_file: Path, key_file: Path | None
) -> ProfilePaths:
    """Return the paths of a session that is in use, which must have the layout of a login.

    Raises CredentialError when they have another layout or are not writable.
    """
    place = ProfilePaths(profile, config_file, token_file.parent)
    if (key_file, token_file) != (place.key_file, place.token_file):
        raise CredentialError(
            f"key and token of profile {profile} are not called {KEY_NAME} and {TOKEN_NAME}, in "
            "one directory, as a login names them"
        )
    _check_writable(place)
    return place


def is_api_key_profile(config_file: Path, profile: str) -> bool:
    """Return whether the section holds an API key, whose settings a session would replace.

    An empty `security_token_file` keeps the one of [DEFAULT] away: that is no session.
    """
    section = _section(config_file, profile)
    return "user" in section and not section.get("security_token_file", "").strip()


def prepare(place: ProfilePaths) -> None:
    """Make the directories, and check that everything is writable.

    Raises CredentialError or ConfigError.
    """
    try:
        make_directory(place.directory)
    except OSError as error:
        raise cannot_write(place.directory, error.strerror) from error
    _check_writable(place)
    config = place.config_file
    if os.path.isdir(config.parent) and not _is_writable(config):  # noqa: PTH112  never raises
        raise ConfigError(
            f"{config}, section [{place.profile}] cannot be written: Permission denied",
            hint="Make the file writable, or choose another one with `config_location`.",
        )


def _check_writable(place: ProfilePaths) -> None:
    for path in (place.key_file, place.token_file):
        if not _is_writable(path):
            raise cannot_write(path, "Permission denied")


def _is_writable(path: Path) -> bool:
    return os.access(path.parent, os.W_OK) or os.access(path, os.W_OK)


def cannot_write(path: Path, why: str | None) -> CredentialError:
    """Return the error for a session that cannot be written to `path`."""
    return CredentialError(
        f"the session cannot be written to {path}: {why}",
        hint="Make it writable for this user, or choose another place with `token_location`.",
    )


def make_directory(path: Path) -> None:
    """Make a directory and its parents, each 0700 from birth."""
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _section(config_file: Path, profile: str) -> dict[str, str]:
    """Return the settings of the section itself; empty when there is none."""
    return read_ini(config_file).get(profile, {}) if path_exists(config_file) else {}


def session_directory(section: Mapping[str, str], home: Path) -> Path | None:
    """Return the directory of a session with the layout of a login; None for any other layout."""
    key = expand_home(section.get("key_file", "").strip(), home)
    token = expand_home(section.get("security_token_file", "").strip(), home)
    if (key.name, token.name) == (KEY_NAME, TOKEN_NAME) and key.parent == token.parent:
        return token.parent
    return None
