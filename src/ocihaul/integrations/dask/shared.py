"""The session that a cluster shares, by its name: what may go into tasks, and stand on any disk.

Each process has a table of the providers that it can use: the owner its session, a worker what
asks the owner. They are looked for when they are used, so a scheduler that unpickles a graph needs
none.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from ocihaul.errors import SessionError
from ocihaul.session.credential import Credential, CredentialProvider
from ocihaul.transport.message import StopSign

if TYPE_CHECKING:
    from ocihaul.integrations.oci_sdk import SessionSigner

_lock = threading.Lock()  # guards _providers
#: By name; one process may have several workers, of which the last one counts.
_providers: dict[str, list[CredentialProvider]] = {}


def provide(name: str, provider: CredentialProvider) -> None:
    """Use `provider` in this process."""
    with _lock:
        _providers.setdefault(name, []).append(provider)


def withdraw(name: str, provider: CredentialProvider) -> None:
    """Use it no longer; harmless when it was not used."""
    with _lock:
        left = [each for each in _providers.get(name, []) if each is not provider]
        if left:
            _providers[name] = left
        else:
            _providers.pop(name, None)


def provider_of(name: str) -> CredentialProvider:
    """What this process has. Raises SessionError when it has none."""
    with _lock:
        found = _providers.get(name)
        if found:
            return found[-1]
    raise SessionError(
        f"there is no session {name!r} in this process",
        hint="It is there on the workers of the cluster that it is shared with, until its owner "
        "closes it or ends.",
    )


class SharedSession:
    """A credential provider for every process of the cluster. Thread-safe, and small when pickled.

    Whatever takes a `Session` takes it: `oci_sdk.signer`, `Client.from_credentials`. Use it as a
    context manager in the process that owns the session, or call `close` there.
    """

    def __init__(
        self, name: str, *, region: str | None = None, close: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self.region = region
        self._close = close

    def __repr__(self) -> str:
        return f"SharedSession({self.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _by_name, (self.name, self.region)

    def __dask_tokenize__(self) -> tuple[str, str, str | None]:
        """What tells it from others, for the names of Dask's tasks."""
        return type(self).__qualname__, self.name, self.region

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def credential(self, cancel: StopSign | None = None) -> Credential:
        """Return the credential to sign with now; raises SessionError as a Session does."""
        return provider_of(self.name).credential(cancel)

    def handle_unauthorized(
        self, credential: Credential, operation: str = "request", cancel: StopSign | None = None
    ) -> bool:
        """Handle a 401; see `Session.handle_unauthorized`. All workers get one renewal."""
        return provider_of(self.name).handle_unauthorized(credential, operation, cancel)

    def signer(self) -> "SessionSigner":
        """A signer for the official SDK, and for ocifs; it may go into tasks. Needs `oci`."""
        from ocihaul.integrations.dask.signer import SharedSigner

        return SharedSigner(self, region=self.region)

    def close(self) -> None:
        """Share it no longer; the session itself stays open. Does nothing on a worker."""
        if self._close is not None:
            close, self._close = self._close, None
            close()


def _by_name(name: str, region: str | None) -> SharedSession:
    return SharedSession(name, region=region)
