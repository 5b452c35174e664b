"""A signer for the official Python SDK that stands on a Session.

    >>> import ocihaul, oci  # doctest: +SKIP
    >>> from ocihaul.integrations import oci_sdk  # doctest: +SKIP
    >>> with ocihaul.Session.from_profile() as session:  # doctest: +SKIP
    ...     client = oci.object_storage.ObjectStorageClient({}, signer=oci_sdk.signer(session))
    ...     client.get_namespace().data
    'ns1'

Every request is signed at the moment it is sent, with the credential that the session holds then.
A 401 is reported to the session and the request sent again with the renewed credential, its body
rewound, before the client hears of it. The signer does that alone (`auth_retry`): there is nothing
to attach to a client, no retry strategy to pass, and nothing in the SDK is replaced. So it also
works where other code makes the clients: UploadManager, ocifs, raw `requests`.
"""

import uuid
from typing import TYPE_CHECKING, Any

from ocihaul.clock import ServerClock
from ocihaul.integrations.auth_retry import sign_and_watch
from ocihaul.integrations.extras import SDK, require
from ocihaul.session.credential import Credential, CredentialProvider

require(SDK, by="ocihaul.integrations.oci_sdk")

from oci.auth.signers import SecurityTokenSigner  # noqa: E402  after the check that names a cure
from oci.signer import AbstractBaseSigner  # noqa: E402  the same

if TYPE_CHECKING:
    from ocihaul.integrations.dask.messages import SharedSession
    from ocihaul.session.session import Session

_GENERIC = ["date", "(request-target)", "host"]
_WITH_BODY = ["content-length", "content-type", "x-content-sha256"]


def signer(
    session: "Session | CredentialProvider", *, region: str | None = None
) -> "SessionSigner":
    """A signer for any client of the SDK: `SomeClient(config={}, signer=signer(session))`.

    The client takes its region from `region`, or else from the session's profile; a region in the
    client's config wins. Thread-safe; one signer serves any number of clients.
    """
    return SessionSigner(session, region=region or getattr(session, "region", None))


class SessionSigner(SecurityTokenSigner):  # type: ignore[misc]  # the SDK has no types
    """Signs with the credential of the moment.

    A SecurityTokenSigner, because clients that are given one ask nothing of their config; but
    none of that class's fixed token is kept. Each credential has signing objects of its own, which
    are replaced as a whole: a thread never signs with the key of one and the name of another.
    """

    def __init__(self, credentials: CredentialProvider, *, region: str | None = None) -> None:
        # Not the SDK's own __init__: it would freeze the token.
        self._credentials = credentials
        self._unique = uuid.uuid4().hex
        self._clock = ServerClock()
        self._made: tuple[Credential, Any] | None = None
        if region is not None:  # clients ask with hasattr
            self.region = region

    def do_request_sign(self, request: Any, enforce_content_headers: bool = True) -> Any:
        """Sign a prepared request now; a 401 to it is not mended, but seen by its sender.

        So it is never signed with a token that looks dead, in the hope that the clock is wrong:
        `ce cluster generate-token` hands the signature on to kubectl, which could not try again.
        """
        ensure_valid = getattr(self._credentials, "ensure_valid", None)
        if ensure_valid is not None:
            ensure_valid()
        return self._sign(request, self._credentials.credential(), enforce_content_headers)

    def __call__(self, request: Any, enforce_content_headers: bool = True) -> Any:
        """Sign a request that is about to be sent by `requests`; a 401 to it is mended."""
        self.validate_request(request)

        def sign(request: Any, credential: Credential) -> None:
            self._sign(request, credential, enforce_content_headers)

        return sign_and_watch(request, self._credentials, self._clock, sign)

    def __dask_tokenize__(self) -> tuple[str, str]:
        """What tells this signer from others, for Dask, which names its work by all that goes in.

        It would pickle a signer to find out, and this one cannot leave its process.
        """
        return type(self).__qualname__, self._unique

    # What others read from a signer: always of the present credential.

    @property
    def api_key(self) -> str:
        """The name of the present key, as it goes into a signature. A secret."""
        return self._credentials.credential().key_id

    @property
    def private_key(self) -> Any:
        """The present key. A secret."""
        return self._credentials.credential().key

    @property
    def _basic_signer(self) -> Any:
        return self._made_for(self._credentials.credential())._basic_signer  # noqa: SLF001  the SDK's

    @property
    def _body_signer(self) -> Any:
        return self._made_for(self._credentials.credential())._body_signer  # noqa: SLF001  the SDK's

    def _sign(self, request: Any, credential: Credential, enforce_content_headers: bool) -> Any:
        made = self._made_for(credential)
        return made.do_request_sign(request, enforce_content_headers)

    def _made_for(self, credential: Credential) -> Any:
        made = self._made
        if made is None or made[0] is not credential:
            # Two threads that pass here at once both make one: harmless.
            frozen = AbstractBaseSigner()
            frozen.create_signers(credential.key_id, credential.key, _GENERIC, _WITH_BODY)
            made = (credential, frozen)
            self._made = made
        return made[1]


class SharedSigner(SessionSigner):
    """Signs on every worker of a Dask cluster with what the shared session holds there.

    It may be pickled: what travels is the name of the session.
    """

    def __init__(self, shared: "SharedSession", *, region: str | None = None) -> None:
        super().__init__(shared, region=region)
        self._shared = shared

    def __repr__(self) -> str:
        return f"SharedSigner({self._shared.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedSigner.of, (self._shared, getattr(self, "region", None))

    def __dask_tokenize__(self) -> tuple[str, str]:
        """Signers of one shared session are alike."""
        return type(self).__qualname__, self._shared.name

    @classmethod
    def of(cls, shared: "SharedSession", region: str | None) -> "SharedSigner":
        """What is left of one that was pickled."""
        return cls(shared, region=region)
