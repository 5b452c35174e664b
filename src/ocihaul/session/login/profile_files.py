"""Write the files of a profile in the official CLI's layout, so that both tools read them.

`<sessions>/<profile>/` holds `oci_api_key.pem`, `oci_api_key_public.pem` and `token`; a section of
the config file names them. Everything is 0600 (directories 0700) from birth. Key and token are
replaced together, under the lock that renewals take, and before the section names them; the rest of
the config file stays as it is, comments included.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from filelock import FileLock, Timeout

from ocihaul.config.ini import path_exists, read_ini, with_section, without_section
from ocihaul.config.sources import expand_home
from ocihaul.errors import ConfigError, CredentialError
from ocihaul.session.credential import SessionToken
from ocihaul.session.lockfile import check_locks
from ocihaul.session.login.archive import KEY_OPTION, TOKEN_OPTION, SessionArchive, is_file_option
from ocihaul.session.login.profile_paths import (
    KEY_NAME,
    PUBLIC_KEY_NAME,
    TOKEN_NAME,
    ProfilePaths,
    cannot_write,
    make_directory,
    session_directory,
)
from ocihaul.session.store import (
    CredentialStore,
    StoreBusy,
    fingerprint,
    private_pem,
    public_pem,
    write_private,
    write_together,
)

#: What the official CLI writes for `key_file` where it does not have the private key.
NO_KEY_PATH = "Update_private_key_path"

#: Beginnings of the names in a session's directory that only key, token and locks have.
_RESERVED = (KEY_NAME, PUBLIC_KEY_NAME, TOKEN_NAME)
#: How long the lock of the session, or of the config file, is waited for, seconds.
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
    _write_together(place, files)


def _write_together(paths: ProfilePaths, files: Sequence[tuple[Path, bytes]]) -> None:
    try:
        make_directory(paths.directory)
        with _locked(CredentialStore(paths.token_file, paths.key_file)):
            write_together(*files)
    except OSError as error:
        raise cannot_write(paths.directory, error.strerror) from error


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


def write_imported(
    paths: ProfilePaths,
    archive: SessionArchive,
    public_key: RSAPublicKey | None,
    *,
    home: Path | None = None,
) -> None:
    """Write the session of an archive, in place of the profile's present options and files.

    With a `home`, files below it are named from `~`: in a container that mounts `~/.oci` it is
    another directory. The official CLI expands that; programs that open the token themselves, as
    the examples of the official SDKs do, may not.

    Raises CredentialError when a file cannot be written, ConfigError when the section cannot.
    """
    places = {KEY_OPTION: paths.key_file, TOKEN_OPTION: paths.token_file}
    values: dict[str, str] = {}
    files: dict[Path, bytes] = {}
    for option, value in archive.options.items():
        if is_file_option(option):
            # The names of key and token are theirs alone.
            name = option if value.startswith(_RESERVED) else value
            path = places.get(option, paths.directory / name)
            files[path] = archive.file_of(option)
            values[option] = _from_home(path, home)
        else:
            values[option] = value
    if paths.named:
        values = {key: value for key, value in values.items() if key not in places}
    if public_key is not None:
        files[paths.public_key_file] = public_pem(public_key)
    with_section("", paths.profile, values)  # raises for an unsuitable value, before any write
    _write_together(paths, list(files.items()))
    present = read_ini(paths.config_file) if path_exists(paths.config_file) else {}
    kept = places if paths.named else {}
    stale = [key for key in present.get(paths.profile, {}) if key not in kept]
    _write_section(paths.config_file, paths.profile, values, without=stale)


def _from_home(path: Path, home: Path | None) -> str:
    if home is None or not path.is_relative_to(home):
        return str(path)
    return f"~/{path.relative_to(home).as_posix()}"


@dataclass(frozen=True, slots=True)
class Removed:
    """What `remove_session` has removed, and the `left` files that it does not know."""

    files: tuple[Path, ...]
    left: tuple[Path, ...]


def remove_session(config_file: Path, profile: str, *, home: Path) -> Removed:
    """Remove the files of a session, and then its section.

    Only files in a directory of the profile's own are removed. Raises ConfigError when there is no
    such session or the config file cannot be written, CredentialError when a file cannot be
    removed.
    """
    section = session_section(config_file, profile)
    directory = session_directory(section, home)
    removed, left = _remove_files(config_file, profile, directory, home) if directory else ((), ())
    named = [section[key] for key in (KEY_OPTION, TOKEN_OPTION) if section.get(key)]
    left = (*left, *(expand_home(path, home) for path in named if directory is None))
    _edit_config(
        config_file, profile, lambda text: without_section(text, profile), hint="Remove it by hand."
    )
    return Removed(removed, left)


def _remove_files(
    config_file: Path, profile: str, directory: Path, home: Path
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    others = {
        session_directory(section, home)
        for name, section in read_ini(config_file).items()
        if name != profile
    }
    if directory in others or not directory.is_dir():
        return (), (directory,) if directory in others else ()
    paths = ProfilePaths(profile, config_file, directory)
    ours = [paths.key_file, paths.public_key_file, paths.token_file]
    removed: list[Path] = []
    try:
        with _locked(CredentialStore(paths.token_file, paths.key_file)):
            torn = [each for path in ours for each in directory.glob(f".{path.name}.*")]
            for path in (*ours, *torn):
                if path.is_symlink() or path.exists():
                    path.unlink()
                    removed.append(path)
        for kind in ("lock", "keepers"):
            directory.joinpath(f"{paths.token_file.name}.{kind}").unlink(missing_ok=True)
        left = tuple(sorted(directory.iterdir()))
        if not left and not directory.is_symlink():
            directory.rmdir()
    except OSError as error:
        raise CredentialError(
            f"{error.filename or directory} cannot be removed: {error.strerror}",
            hint="Remove it by hand, then run the same command again.",
        ) from error
    return tuple(removed), left


def session_section(config_file: Path, profile: str) -> dict[str, str]:
    """Return the options of a session's own section. Raises ConfigError when it is none."""
    section = read_ini(config_file).get(profile)
    if section is None:
        raise ConfigError(f"{config_file} has no profile {profile!r}")
    if not section.get(TOKEN_OPTION):
        raise ConfigError(
            f"{config_file}, section [{profile}] is no session: it names no {TOKEN_OPTION}",
            hint="Choose a session with `profile`.",
        )
    return section


def _write_section(
    path: Path, profile: str, values: Mapping[str, str], *, without: Sequence[str] = ()
) -> None:
    def edit(text: str) -> str:
        stale = [key for key in without if key not in values]
        return with_section(text, profile, values, without=stale)

    _edit_config(
        path,
        profile,
        edit,
        hint=f"Key and token are written. Add to the section: {_as_lines(values)}",
    )


def _edit_config(path: Path, profile: str, edit: Callable[[str], str], *, hint: str) -> None:
    try:
        make_directory(path.parent)
        with _locked_config(path):
            # Read again: it may have changed since `find_paths` checked it.
            raw = path.read_bytes() if path_exists(path) else b""
            new = edit(raw.decode("utf-8", "surrogateescape"))
            write_private(path, new.encode("utf-8", "surrogateescape"))
    except Timeout:
        raise ConfigError(
            f"{path} is being changed by another process, which holds {path}.lock",
            hint="Run the same command again.",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{path}, section [{profile}] cannot be written: {error.strerror}",
            hint=hint,
        ) from error


@contextlib.contextmanager
def _locked_config(path: Path) -> Iterator[None]:
    """Hold the config file's lock: no login may lose another's section. Raises Timeout."""
    lock_file = path.with_name(path.name + ".lock")
    lock = FileLock(lock_file, timeout=_LOCK_TIMEOUT, mode=0o600)
    with contextlib.ExitStack() as stack:
        try:
            check_locks(lock_file)
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
