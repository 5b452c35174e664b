"""Write the files of a profile in the official CLI's layout, so that both tools read them.

`<sessions>/<profile>/` holds `oci_api_key.pem`, `oci_api_key_public.pem` and `token`; a section of
the config file names them. Everything is 0600 (directories 0700) from birth. Key and token are
replaced together, under the lock that renewals take, and before the section names them; the rest of
the config file stays as it is, comments included.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from filelock import FileLock, Timeout

from ocihaul.config.editing import with_section
from ocihaul.config.ini import path_exists
from ocihaul.errors import ConfigError, CredentialError
from ocihaul.session.keys import fingerprint, private_pem, public_pem
from ocihaul.session.login.profile_paths import ProfilePaths, cannot_write, make_directory
from ocihaul.session.store import CredentialStore, StoreBusy, write_private, write_together
from ocihaul.session.token import SessionToken

#: What the official CLI writes for `key_file` where it does not have the private key.
NO_KEY_PATH = "Update_private_key_path"

_LOCK_TIMEOUT = 15.0
#: Settings of an API key, which a session removes; `pass_phrase` stays if there is a new one.
_STALE = ("user", "key_content", "pass_phrase")


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that has just been opened. `key` is None where only the public key was given."""

    token: SessionToken
    public_key: RSAPublicKey
    key: RSAPrivateKey | None = field(repr=False)


def write_session(
    place: ProfilePaths,
    session: NewSession,
    *,
    tenancy: str | None,
    region: str,
    passphrase: str | None = None,
    keep_passphrase: bool = False,
) -> None:
    """Write key, token and section. `keep_passphrase` writes the passphrase into the section.

    Raises CredentialError when a file cannot be written, ConfigError when the section cannot.
    """
    paths = (place.key_file, place.token_file)
    key_file, token_file = (None if place.named else str(path) for path in paths)
    values = {
        "fingerprint": fingerprint(session.public_key),
        "key_file": NO_KEY_PATH if session.key is None else key_file,
        "tenancy": tenancy,
        "region": region,
        "pass_phrase": passphrase if keep_passphrase else None,
        "security_token_file": token_file,
    }
    given = {key: value for key, value in values.items() if value is not None}
    with_section("", place.profile, given)  # raises for an unsuitable value, before any write
    _write_files(place, session, passphrase)
    _write_section(place.config_file, place.profile, given, without=_STALE)


def replace_session(place: ProfilePaths, session: NewSession, *, passphrase: str | None) -> None:
    """Replace key and token of the present login, and `fingerprint` in the section.

    `passphrase` protects the new key as it did the old one. Raises CredentialError.
    """
    _write_files(place, session, passphrase)
    # No request uses the fingerprint of a session's key: a read-only config file does no harm.
    with contextlib.suppress(ConfigError):
        values = {"fingerprint": fingerprint(session.public_key)}
        _write_section(place.config_file, place.profile, values)


def _write_files(place: ProfilePaths, session: NewSession, passphrase: str | None) -> None:
    files = [
        (place.public_key_file, public_pem(session.public_key)),
        (place.token_file, session.token.raw.encode()),
    ]
    if session.key is not None:
        files.insert(1, (place.key_file, private_pem(session.key, passphrase)))
    try:
        make_directory(place.directory)
        with _locked(CredentialStore(place.token_file, place.key_file)):
            write_together(*files)
    except OSError as error:
        raise cannot_write(place.directory, error.strerror) from error


def write_token(store: CredentialStore, token: SessionToken) -> None:
    """Replace the token of a session whose key stays. Raises CredentialError."""
    try:
        with _locked(store):
            if not store.key_fits(token):
                raise CredentialError(
                    f"another login has replaced the key of {store.token_file} meanwhile",
                    hint="Its token is left alone. Run the same command again to mint for its key.",
                )
            write_private(store.token_file, token.raw.encode())
    except OSError as error:
        raise CredentialError(
            f"the token cannot be written to {store.token_file}: {error.strerror}",
            hint="Make the file or its directory writable for this user.",
        ) from error


def _write_section(
    path: Path, profile: str, values: Mapping[str, str], *, without: Sequence[str] = ()
) -> None:
    try:
        make_directory(path.parent)
        with _locked_config(path):
            # Read again: it may have changed since `find_paths` checked it.
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
    """Hold the config file's lock: no login may lose another's section. Raises Timeout."""
    lock = FileLock(path.with_name(path.name + ".lock"), timeout=_LOCK_TIMEOUT, mode=0o600)
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
        # A person has just logged in: after the timeout, and on a file system without locks, the
        # files are written all the same.
        with contextlib.suppress(StoreBusy, OSError):
            stack.enter_context(store.lock(_LOCK_TIMEOUT))
        yield
