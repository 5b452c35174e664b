"""The files of a profile, written as the stock CLI lays them out, so that both tools read them.

`<sessions>/<profile>/` holds `oci_api_key.pem`, `oci_api_key_public.pem` and `token`; a section of
the config file names them. Everything is 0600 (directories 0700) from birth. Key and token are
replaced together, under the lock of whoever renews the token, and before the section leads to
them; the rest of the config file stays as it is, comments and all.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from filelock import FileLock, Timeout

from ocihaul.config.editing import with_section
from ocihaul.config.ini import path_exists, read_ini
from ocihaul.config.rcfile import expand_home
from ocihaul.errors import ConfigError, CredentialError, UsageError
from ocihaul.session.keys import fingerprint, private_pem, public_pem
from ocihaul.session.store import CredentialStore, StoreBusy, write_private, write_together
from ocihaul.session.token import SessionToken

KEY_NAME = "oci_api_key.pem"
PUBLIC_KEY_NAME = "oci_api_key_public.pem"
TOKEN_NAME = "token"  # noqa: S105  a file's name
#: What the stock CLI writes where the private key is not its own.
NO_KEY_PATH = "Update_private_key_path"

_PROFILE_NAME = re.compile(r"[A-Za-z0-9._\-@]+")
_LOCK_PATIENCE = 15.0
#: What only an API key has; `pass_phrase` goes unless there is a new one.
_STALE = ("user", "key_content", "pass_phrase")


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that has just been opened. `key` is None where its owner kept it to himself."""

    token: SessionToken
    public_key: RSAPublicKey
    key: RSAPrivateKey | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProfilePlace:
    """Where the files of a profile are, or will be."""

    profile: str
    config_file: Path
    directory: Path

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
    """`name`, if it can be a section and a directory; the stock CLI's rule. Raises UsageError."""
    if not _PROFILE_NAME.fullmatch(name) or name in {".", ".."}:
        raise UsageError(
            f"{name!r} cannot be the name of a profile",
            hint="It is made of letters, digits and the characters . _ - @",
        )
    return name


def find_place(
    profile: str, *, config_file: Path, token_location: Path | None, home: Path
) -> ProfilePlace:
    """Where a new session of `profile` goes; raises before anything is asked of anybody.

    Without `token_location` a profile that has its files in this layout keeps them where they
    are (whoever uses them finds the new session), and any other gets `~/.oci/sessions/<profile>`.
    Raises UsageError for a bad name, ConfigError for a config file that cannot be edited.
    """
    check_profile_name(profile)
    section = _section(config_file, profile)
    directory = None if token_location else _present_directory(section, home)
    if directory is None:
        directory = (token_location or home / ".oci" / "sessions").absolute() / profile
    return ProfilePlace(profile, config_file, directory)


def present_place(
    profile: str, *, config_file: Path, token_file: Path, key_file: Path | None
) -> ProfilePlace:
    """The place of a session that is in use; it has to be laid out as a login lays it out.

    Raises CredentialError when it is not, or cannot be written.
    """
    place = ProfilePlace(profile, config_file, token_file.parent)
    if (key_file, token_file) != (place.key_file, place.token_file):
        raise CredentialError(
            f"key and token of profile {profile} are not called {KEY_NAME} and {TOKEN_NAME}, in "
            "one directory, as a login names them"
        )
    _check_writable(place)
    return place


def is_api_key_profile(config_file: Path, profile: str) -> bool:
    """Whether the section of that name holds an API key, whose settings a session would replace."""
    section = _section(config_file, profile)
    return "user" in section and "security_token_file" not in section


def prepare(place: ProfilePlace) -> None:
    """Make the directories, and see that all can be written, before a person goes to any pains.

    Raises CredentialError or ConfigError.
    """
    try:
        _make_directory(place.directory)
    except OSError as error:
        raise _cannot_write(place.directory, error.strerror) from error
    _check_writable(place)
    config = place.config_file
    if config.parent.is_dir() and not _is_writable(config):
        raise ConfigError(
            f"{config}, section [{place.profile}] cannot be written: Permission denied",
            hint="Make the file writable, or choose another one with --config-location.",
        )


def _check_writable(place: ProfilePlace) -> None:
    for path in (place.key_file, place.token_file):
        if not _is_writable(path):
            raise _cannot_write(path, "Permission denied")


def _is_writable(path: Path) -> bool:
    return os.access(path.parent, os.W_OK) or os.access(path, os.W_OK)


def _cannot_write(path: Path, why: str | None) -> CredentialError:
    return CredentialError(
        f"the session cannot be written to {path}: {why}",
        hint="Make it writable for this user, or choose another place with --token-location.",
    )


def write_session(
    place: ProfilePlace,
    session: NewSession,
    *,
    tenancy: str | None,
    region: str,
    passphrase: str | None = None,
    keep_passphrase: bool = False,
) -> None:
    """Write key, token and section. `keep_passphrase` puts the passphrase into the section.

    Raises CredentialError when a file cannot be written, ConfigError when the section cannot.
    """
    values = {
        "fingerprint": fingerprint(session.public_key),
        "key_file": NO_KEY_PATH if session.key is None else str(place.key_file),
        "tenancy": tenancy,
        "region": region,
        "pass_phrase": passphrase if keep_passphrase else None,
        "security_token_file": str(place.token_file),
    }
    given = {key: value for key, value in values.items() if value is not None}
    with_section("", place.profile, given)  # a value that does not fit is known before any write
    _write_files(place, session, passphrase)
    _write_section(place.config_file, place.profile, given, without=_STALE)


def replace_session(place: ProfilePlace, session: NewSession, *, passphrase: str | None) -> None:
    """Put a new login where the present one is; in the section, `fingerprint` follows.

    `passphrase` protects the new key as it did the old one. Raises CredentialError.
    """
    _write_files(place, session, passphrase)
    # Nobody signs with the fingerprint of a session's key: a closed config file does no harm.
    with contextlib.suppress(ConfigError):
        values = {"fingerprint": fingerprint(session.public_key)}
        _write_section(place.config_file, place.profile, values)


def _write_files(place: ProfilePlace, session: NewSession, passphrase: str | None) -> None:
    files = [
        (place.public_key_file, public_pem(session.public_key)),
        (place.token_file, session.token.raw.encode()),
    ]
    if session.key is not None:
        files.insert(1, (place.key_file, private_pem(session.key, passphrase)))
    try:
        _make_directory(place.directory)
        with _locked(CredentialStore(place.token_file, place.key_file)):
            write_together(*files)
    except OSError as error:
        raise _cannot_write(place.directory, error.strerror) from error


def write_token(token_file: Path, token: SessionToken) -> None:
    """Replace the token of a session whose key stays. Raises CredentialError."""
    try:
        with _locked(CredentialStore(token_file, None)):
            write_private(token_file, token.raw.encode())
    except OSError as error:
        raise CredentialError(
            f"the token cannot be written to {token_file}: {error.strerror}",
            hint="Make the file or its directory writable for this user.",
        ) from error


def _write_section(
    path: Path, profile: str, values: Mapping[str, str], *, without: Sequence[str] = ()
) -> None:
    try:
        _make_directory(path.parent)
        with _locked_config(path):
            # Read again: it may have changed since `find_place` found nothing wrong with it.
            raw = path.read_bytes() if path_exists(path) else b""
            text = raw.decode("utf-8", "surrogateescape")
            stale = [key for key in without if key not in values]
            new = with_section(text, profile, values, without=stale)
            write_private(path, new.encode("utf-8", "surrogateescape"))
    except Timeout:
        raise ConfigError(
            f"{path} is being changed by another process, which holds {path}.lock",
            hint="Run the same command again; key and token are written already.",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{path}, section [{profile}] cannot be written: {error.strerror}",
            hint=f"Key and token are written. Add to the section: {_as_lines(values)}",
        ) from error


@contextlib.contextmanager
def _locked_config(path: Path) -> Iterator[None]:
    """Two logins at once must not lose each other's section. Raises Timeout."""
    lock = FileLock(path.with_name(path.name + ".lock"), timeout=_LOCK_PATIENCE, mode=0o600)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock)
        except Timeout:
            raise
        except OSError:
            pass  # a file system without locks
        yield


def _as_lines(values: Mapping[str, str]) -> str:
    shown = {key: value for key, value in values.items() if key != "pass_phrase"}
    return "; ".join(f"{key}={value}" for key, value in shown.items())


@contextlib.contextmanager
def _locked(store: CredentialStore) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        # Who holds the lock longer than that is not waited for, and a file system without locks is
        # no hindrance: a person has just logged in.
        with contextlib.suppress(StoreBusy, OSError):
            stack.enter_context(store.lock(_LOCK_PATIENCE))
        yield


def _make_directory(path: Path) -> None:
    """With its parents, each one closed to others from birth."""
    if not path.is_dir():
        _make_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _section(config_file: Path, profile: str) -> dict[str, str]:
    """What stands in the section itself; empty when there is none."""
    return read_ini(config_file).get(profile, {}) if path_exists(config_file) else {}


def _present_directory(section: Mapping[str, str], home: Path) -> Path | None:
    key = expand_home(section.get("key_file", "").strip(), home)
    token = expand_home(section.get("security_token_file", "").strip(), home)
    if (key.name, token.name) == (KEY_NAME, TOKEN_NAME) and key.parent == token.parent:
        return token.parent.absolute()
    return None
