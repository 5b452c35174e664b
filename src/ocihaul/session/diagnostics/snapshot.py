"""Read what the files tell of a profile's session, without the network.

`take_snapshot` reads the files and returns a value; everything else here is pure and judges such a
value at a given time. A broken file is no error: it is in the snapshot.
"""

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ocihaul.config import Settings
from ocihaul.errors import ConfigError, CredentialError
from ocihaul.session.credential import SessionToken
from ocihaul.session.lockfile import Holder, Lock, find_keepers, lock_at, lock_file_for
from ocihaul.session.store import load_key, read_key_file, read_small, replaceable

#: `exp` and `sess_exp` have whole seconds and are rounded apart from each other.
_ROUNDING = 2.0
#: How often a torn pair is read again, and the seconds in between.
_LOOKS = 5
_PAUSE = 0.05
#: A temporary file older than this, seconds, belongs to a writer that was killed.
_ABANDONED_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class FileFact:
    """One file; `mode` and `modified` (epoch seconds) are None when stat fails."""

    what: str
    path: Path
    mode: int | None
    modified: float | None

    @property
    def private(self) -> bool | None:
        """Whether only its owner may read or write it; None where that is not known."""
        if self.mode is None or os.name != "posix":
            return None
        return not self.mode & 0o077


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a session. `key_matches` is None when token or key could not be read.

    `replaceable`: "rename", "in place" or None, how a renewed token gets to disk. `mint_with` is
    the API-key profile that can open a new session for the same key. `keepers` are the running
    `session keep` processes of this profile.
    """

    profile: str
    config_file: Path | None
    auth_endpoint: str | None
    token: SessionToken | None
    key_matches: bool | None
    problems: tuple[str, ...]
    files: tuple[FileFact, ...]
    replaceable: str | None
    lock: Lock | None
    leftovers: tuple[Path, ...]
    mint_with: str | None = None
    keepers: tuple[Holder, ...] = ()

    def file(self, what: str) -> FileFact | None:
        """Return the file of that kind: config, key, token or directory."""
        return next((each for each in self.files if each.what == what), None)

    @property
    def last_renewal(self) -> float | None:
        """When the token on disk was last written, epoch seconds."""
        token = self.file("token")
        return token.modified if token else None


@dataclass(frozen=True, slots=True)
class RenewalOptions:
    """How the session can be renewed: `refresh_error` is why not by refresh, None if it can be.

    `until` is when refreshing ends (the session's own end), None where the token does not say.
    """

    refresh_error: str | None
    until: float | None
    mint_with: str | None

    @property
    def possible(self) -> bool:
        """Whether the session can be renewed without a person."""
        return self.refresh_error is None or self.mint_with is not None


def is_usable(seen: Snapshot, now: float) -> bool:
    """Return whether a request can be signed at `now` (epoch seconds, the service's clock)."""
    return seen.token is not None and seen.key_matches is True and now < seen.token.expires_at


def is_at_session_end(token: SessionToken) -> bool:
    """Return whether the token lasts as long as its session: no refresh can move its end."""
    return (
        token.session_ends_at is not None and token.expires_at > token.session_ends_at - _ROUNDING
    )


def renewal_options(seen: Snapshot, now: float) -> RenewalOptions:
    """Return how the session can be renewed at `now`."""
    token = seen.token
    until = token.session_ends_at if token else None
    if token is None or seen.key_matches is not True:
        error: str | None = "there is no usable pair of key and token"
    elif now >= token.expires_at:
        error = "the token has expired, and an expired token cannot be refreshed"
    elif seen.auth_endpoint is None:
        error = "no region is known, so the auth service's address is not either"
    elif is_at_session_end(token):
        error = "the token lasts as long as its session: a refresh cannot move its end"
    else:
        error = None
    return RenewalOptions(error, until, seen.mint_with)


def take_snapshot(
    settings: Settings,
    *,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Snapshot:
    """Read the files of the profile's session. Raises ConfigError when it has none."""
    token_file = settings.token_file
    if token_file is None:
        raise ConfigError("the profile has no security_token_file")
    token, key_matches, problems = _pair(settings, token_file)
    for _ in range(_LOOKS):
        if key_matches:
            break
        sleep(_PAUSE)
        token, key_matches, problems = _pair(settings, token_file)
    lock = None
    with contextlib.suppress(OSError):
        lock = lock_at(lock_file_for(token_file))
    named = (
        ("config", settings.config_file),
        ("key", settings.key_file),
        ("token", token_file),
        ("directory", token_file.parent),
    )
    return Snapshot(
        profile=settings.profile,
        config_file=settings.config_file,
        auth_endpoint=settings.auth_endpoint,
        token=token,
        key_matches=key_matches,
        problems=problems,
        files=tuple(_fact(what, path) for what, path in named if path is not None),
        replaceable=replaceable(token_file),
        lock=lock,
        leftovers=tuple(_leftovers((token_file, settings.key_file), now())),
        mint_with=settings.session_options.renew_with,
        keepers=find_keepers(token_file),
    )


def _pair(
    settings: Settings, token_file: Path
) -> tuple[SessionToken | None, bool | None, tuple[str, ...]]:
    token, key, problems = None, None, []
    try:
        token = SessionToken.parse(read_small(token_file).decode("ascii", "replace"))
    except OSError as error:
        problems.append(f"the token file {token_file} cannot be read: {error.strerror}")
    except CredentialError as error:
        problems.append(f"{token_file}: {error.message}")
    try:
        if settings.key_content:
            key = load_key(
                settings.key_content.encode(),
                where="OCI_CLI_KEY_CONTENT",
                passphrase=settings.passphrase,
                test_primes=True,
            )
        elif settings.key_file:
            key = read_key_file(settings.key_file, passphrase=settings.passphrase, test_primes=True)
    except CredentialError as error:
        problems.append(error.message)
    matches = None
    if token is not None and key is not None:
        matches = token.belongs_to(key.public_key())
        if not matches:
            whose = settings.key_file or "in OCI_CLI_KEY_CONTENT"
            problems.append(f"the key {whose} does not belong to the token in {token_file}")
    return token, matches, tuple(problems)


def _fact(what: str, path: Path) -> FileFact:
    try:
        status = path.stat()
    except OSError:
        return FileFact(what, path, None, None)
    return FileFact(what, path, stat.S_IMODE(status.st_mode), status.st_mtime)


def _leftovers(paths: Iterable[Path | None], now: float) -> Iterable[Path]:
    for path in paths:
        if path is None:
            continue
        real = path.resolve()
        with contextlib.suppress(OSError):
            for each in sorted(real.parent.iterdir()):
                ours = each.name.startswith(f".{real.name}.")
                if ours and now - each.lstat().st_mtime > _ABANDONED_AFTER:
                    yield each
