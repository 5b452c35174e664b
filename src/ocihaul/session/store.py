"""Token and key on disk: read a matching pair, notice a change, replace atomically, lock.

Other programs write these files, too: the official CLI empties the token file before it fills it,
and a new login replaces key and token one after the other. So files that are empty, cut or not a
pair are read again for two seconds before they count as broken. Keys are read and written in PEM.
"""

import contextlib
import errno
import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from filelock import FileLock, Timeout

from ocihaul.config.sources import login_command
from ocihaul.errors import CredentialError
from ocihaul.filesystem import sync_directory, sync_file
from ocihaul.redaction import hold, hold_key
from ocihaul.session.credential import SessionToken
from ocihaul.session.lockfile import (
    check_locks,
    give_to_owner_of,
    lock_file_for,
    make_for_owner,
)

#: The last line of a private key in PEM; the official CLI writes a mark after it.
_END = re.compile(rb"-----END [A-Z ]*PRIVATE KEY-----")


def load_key(
    pem: bytes, *, where: str, passphrase: str | None = None, test_primes: bool = False
) -> RSAPrivateKey:
    """Read an RSA private key from PEM; `where` names its origin in errors.

    Its numbers have to belong together. Whether its factors are primes takes OpenSSL about 30 ms,
    more than all else of a small upload's start: only `test_primes` asks for it.

    The official CLI appends the text OCI_API_KEY after the END line: whatever follows is ignored.
    Raises CredentialError.
    """
    if not pem.strip():
        raise CredentialError(f"{where} is empty")
    hold_key(pem)
    hold(passphrase or "", "password")
    end = _END.search(pem)
    if end is None:
        raise CredentialError(f"{where} is not a private key in PEM form, or it is cut")
    try:
        key = load_pem_private_key(
            pem[: end.end()] + b"\n",
            passphrase.encode() if passphrase else None,
            unsafe_skip_rsa_key_validation=not test_primes,
        )
    except TypeError:
        # cryptography's word for "a passphrase is needed" and for "none is needed".
        if passphrase is not None:
            return load_key(pem, where=where, test_primes=test_primes)
        raise CredentialError(
            f"{where} is protected by a passphrase",
            hint="Set OCI_CLI_PASSPHRASE, or pass_phrase in the profile.",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        wrong = " (or the passphrase is wrong)" if passphrase else ""
        raise CredentialError(f"{where} is not a readable private key{wrong}") from None
    if not isinstance(key, RSAPrivateKey):
        raise CredentialError(f"{where} is not an RSA key", hint="OCI signs with RSA keys only.")
    if not _numbers_belong_together(key.private_numbers()):
        raise CredentialError(f"{where} is damaged: its numbers do not belong together")
    return key


def _numbers_belong_together(key: RSAPrivateNumbers) -> bool:
    """Return whether the numbers are those of one private key (RFC 8017, 3.2)."""
    e, n = key.public_numbers.e, key.public_numbers.n
    factors = (key.p, key.q)
    return (
        all(factor > 2 and factor % 2 for factor in factors)
        and key.p * key.q == n
        and 2 < e < n
        and 0 < key.d < n
        and all(e * key.d % (factor - 1) == 1 for factor in factors)
        and key.dmp1 == key.d % (key.p - 1)
        and key.dmq1 == key.d % (key.q - 1)
        and key.iqmp < key.p
        and key.iqmp * key.q % key.p == 1
    )


#: Bytes of a file with a key or a token, at most: they have a few thousand.
_LARGEST_FILE = 2**20


def read_small(path: Path) -> bytes:
    """Return the content of a file with a key or a token.

    Raises OSError, also for a file that is larger than either can be: a path may lead to a device
    that never ends.
    """
    with path.open("rb") as file:
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise OSError(errno.EFBIG, f"it has more than {_LARGEST_FILE} bytes", os.fspath(path))
    return data


def read_key_file(
    path: Path, *, passphrase: str | None = None, test_primes: bool = False
) -> RSAPrivateKey:
    """Read the RSA private key in a file with `load_key`. Errors name the file."""
    try:
        pem = read_small(path)
    except OSError as error:
        raise CredentialError(f"the key file {path} cannot be read: {error.strerror}") from error
    where = f"the key file {path}"
    return load_key(pem, where=where, passphrase=passphrase, test_primes=test_primes)


def read_public_key_file(path: Path) -> RSAPublicKey:
    """Read the RSA public key in a file. Raises CredentialError, which names the file."""
    try:
        key = load_pem_public_key(read_small(path))
    except OSError as error:
        raise CredentialError(
            f"the public key file {path} cannot be read: {error.strerror}"
        ) from error
    except ValueError:
        raise CredentialError(
            f"{path} is not a public key in PEM form",
            hint="It is made with: openssl rsa -in key.pem -pubout -out public.pem",
        ) from None
    if not isinstance(key, RSAPublicKey):
        raise CredentialError(f"{path} is not an RSA key", hint="OCI signs with RSA keys only.")
    return key


def private_pem(key: RSAPrivateKey, passphrase: str | None = None) -> bytes:
    """Return the key as the official CLI writes it: PKCS #8, and a mark after the END line."""
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase:
        hold(passphrase, "password")
        encryption = BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption) + b"OCI_API_KEY"


def public_pem(key: RSAPublicKey) -> bytes:
    """Return the public key in PEM (SubjectPublicKeyInfo)."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: RSAPublicKey) -> str:
    """Return the name of a key in OCI: the MD5 of its DER form, in pairs of hex digits."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.md5(der, usedforsecurity=False).digest().hex(":")


#: How often and how long a broken pair is read again, seconds. The gap between the official CLI's
#: truncate and its write is microseconds, between a login's two files milliseconds; on a busy
#: machine the writer may have to wait in between.
_REREAD_EVERY = 0.05
_REREAD_FOR = 2.0
#: How often a thread that waits for the lock checks for a stop, seconds.
_STOP_POLL_INTERVAL = 0.25


@dataclass(frozen=True, slots=True)
class TokenAndKey:
    """A token and the key that it belongs to."""

    token: SessionToken
    key: RSAPrivateKey = field(repr=False)


class StoreBusy(Exception):
    """Another process has held the lock for longer than the timeout."""


class CredentialStore:
    """The two files of one session. `passphrase` opens the key, where it is protected.

    With `key_pem` (from an environment variable) no key file is read. `profile` is the one to log
    in to again, in hints. `durable` says whether the file system could sync what `replace` wrote
    last.
    """

    def __init__(
        self,
        token_file: Path,
        key_file: Path | None,
        *,
        key_pem: bytes | None = None,
        passphrase: str | None = None,
        profile: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.token_file = token_file
        self.profile = profile
        self.durable = True
        self._key_file = key_file
        self._key_pem = key_pem
        self._passphrase = passphrase
        self._sleep = sleep
        self._seen: object = None
        self._opened: tuple[bytes, RSAPrivateKey] | None = None

    def changed(self) -> bool:
        """Return whether the files have changed since the last `read`: one stat for each."""
        return self._signature() != self._seen

    def read(self) -> TokenAndKey:
        """Return token and key. Raises CredentialError when they stay broken for two seconds."""
        for _ in range(round(_REREAD_FOR / _REREAD_EVERY)):
            with contextlib.suppress(CredentialError):
                return self.read_once()
            self._sleep(_REREAD_EVERY)
        return self.read_once()

    def read_once(self) -> TokenAndKey:
        """Return token and key. Raises CredentialError at once."""
        self._seen = self._signature()
        token_text = _read(self.token_file, "token", self.profile)
        key = self._key()
        try:
            token = SessionToken.parse(token_text.decode("ascii", "replace"))
        except CredentialError as error:
            raise CredentialError(
                f"{self.token_file}: {error.message}",
                hint=f"Log in again with: {login_command(self.profile)}",
            ) from None
        if not token.belongs_to(key.public_key()):
            raise CredentialError(
                f"the key {self._key_file or 'in OCI_CLI_KEY_CONTENT'} does not belong to the "
                f"token in {self.token_file}",
                hint=f"They come as a pair: log in again with: {login_command(self.profile)}",
            )
        return TokenAndKey(token, key)

    def replace(self, token: SessionToken, *, instead_of: SessionToken) -> str | None:
        """Write `token` over `instead_of`. Returns None when done, else why not.

        Call it with the lock held. Other programs write without it: a newer token and a new login
        of theirs, complete or half-way, are left alone; a torn token is replaced.
        """
        there = self._token_there()
        if there is not None and there.raw != instead_of.raw:
            if there.modulus != token.modulus:
                return "another login has replaced it"
            if there.expires_at > token.expires_at:
                return "a newer token has replaced it"
        if not self.key_fits(token):
            return "another login is replacing it"
        try:
            self.durable = write_private(self.token_file, token.raw.encode())
        except OSError as error:
            return f"{self.token_file} cannot be written: {error.strerror}"
        # `changed` stays true: another program may have written after us, before we could look.
        return None

    def _token_there(self) -> SessionToken | None:
        try:
            text = read_small(self.token_file).decode("ascii", "replace")
            return SessionToken.parse(text)
        except (OSError, CredentialError):
            return None

    def key_fits(self, token: SessionToken) -> bool:
        """Return whether the key on disk is the token's; True when it cannot be read."""
        try:
            return token.belongs_to(self._key().public_key())
        except CredentialError:
            return True  # nothing contradicts it

    @contextlib.contextmanager
    def lock(
        self, timeout: float, *, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[None]:
        """Hold the session's lock across processes.

        Raises StoreBusy after `timeout` seconds, or soon after `stopped` has become true; OSError
        where there can be no lock.
        """
        path = self.lock_file()
        make_for_owner(path, self.token_file)
        check_locks(path)
        lock = FileLock(path, poll_interval=0.05, mode=0o600)
        deadline = time.monotonic() + timeout
        while not lock.is_locked:
            left = deadline - time.monotonic()
            try:
                lock.acquire(timeout=max(min(left, _STOP_POLL_INTERVAL), 0.0))
            except Timeout:
                if left <= _STOP_POLL_INTERVAL or stopped():
                    raise StoreBusy from None
        try:
            yield
        finally:
            lock.release()

    def lock_file(self) -> Path:
        """Return the lock file. Raises OSError when the token's directory cannot be read."""
        return lock_file_for(self.token_file)

    def _key(self) -> RSAPrivateKey:
        pem = self._key_pem
        if pem is None:
            if self._key_file is None:
                raise CredentialError("the profile names no key_file")
            pem = _read(self._key_file, "key", self.profile)
        opened = self._opened  # another thread may open another login's key meanwhile
        if opened is None or opened[0] != pem:
            where = f"the key file {self._key_file}" if self._key_file else "OCI_CLI_KEY_CONTENT"
            opened = (pem, load_key(pem, where=where, passphrase=self._passphrase))
            self._opened = opened
        return opened[1]

    def _signature(self) -> object:
        return tuple(_stat(path) for path in (self.token_file, self._key_file) if path)


def replaceable(path: Path) -> str | None:
    """Return how `write_private` would replace a file: "rename", "in place", or None: it cannot."""
    real = path.resolve()
    if os.access(real.parent, os.W_OK):
        return "rename"
    return "in place" if os.access(real, os.W_OK) else None


def write_private(path: Path, data: bytes) -> bool:
    """Replace a file's content atomically, 0600 from birth, safely on disk when it returns.

    Returns False where the file system cannot sync; the content is written all the same.

    A symbolic link stays and its target is replaced. Where a rename is impossible (a bind-mounted
    single file, a directory of another user) the content is written in place, the new bytes over
    the old ones before the rest is cut off, so that no reader finds the file empty.
    The file keeps its owner where the system allows that. Raises OSError.
    """
    return write_together((path, data))


def write_together(*files: tuple[Path, bytes]) -> bool:
    """Replace several files as `write_private` does, one right after the other.

    Everything slow is done before the first of them changes: only for microseconds can a reader
    find files that do not belong together. Raises OSError.
    """
    staged: list[tuple[Path, bytes, Path | None]] = []
    durable = True
    try:
        for given, data in files:
            path = given.resolve()
            temporary, synced = _stage(path, data)
            staged.append((path, data, temporary))
            durable &= synced
        for path, data, temporary in staged:
            if temporary is None or not _moved(temporary, path):
                durable &= _write_in_place(path, data)
    finally:
        for *_, temporary in staged:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
    for directory in {path.parent for path, *_ in staged}:
        sync_directory(directory)
    return durable


def _stage(path: Path, data: bytes) -> tuple[Path | None, bool]:
    """Write the new content to a file beside `path`; return that file and whether it is synced.

    The file is None where `path` can only be written in place.
    """
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            # Root may renew a user's session: a file of root's would lock the user out of it.
            give_to_owner_of(path, file.fileno())
            file.write(data)
            file.flush()
            synced = sync_file(file.fileno())
    except OSError:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if not path.exists():
            raise
        return None, True
    return temporary, synced


def _moved(temporary: Path, path: Path) -> bool:
    try:
        temporary.replace(path)
    except OSError:
        if not path.exists():
            raise
        return False
    return True


def _write_in_place(path: Path, data: bytes) -> bool:
    with path.open("r+b") as file:
        # Before the secret is in it. The mode of another user's file stays; a notice says so when
        # the profile is read.
        with contextlib.suppress(OSError):
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                os.fchmod(file.fileno(), 0o600)
        file.write(data)
        file.truncate()
        file.flush()
        return sync_file(file.fileno())


def _read(path: Path, what: str, profile: str | None) -> bytes:
    try:
        return read_small(path)
    except OSError as error:
        raise CredentialError(
            f"the {what} file {path} cannot be read: {error.strerror}",
            hint=f"Name the right file in the profile, or log in with: {login_command(profile)}",
        ) from error


def _stat(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
