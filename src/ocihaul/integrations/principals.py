"""Our own commands signed by the official SDK's principals.

An instance, a function or a pod has no profile: the SDK knows how to get a token for it, and when
to get another. Here such a signer becomes a credential provider, like a Session. It signs by
itself, because some put headers of their own into the signature; a 401 makes it refresh, once per
token however many threads were refused.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from ocihaul import endpoints
from ocihaul.config import Settings
from ocihaul.documents import DocumentError, read_text
from ocihaul.errors import ConfigError, OcihaulError, RenewalUnavailable
from ocihaul.integrations.extras import SDK, require
from ocihaul.redaction import redact
from ocihaul.session.credential import Credential
from ocihaul.threads import StopSign


def open_principal(settings: Settings) -> "Principal":
    """The credential provider for `settings.auth`, one of `SDK_AUTH`.

    Raises UsageError when the SDK is not installed, RenewalUnavailable when the place where we
    run gives no token (it is no instance, no function, no pod).
    """
    require(SDK, by=f"`auth={settings.auth!r}`")
    with _told_apart(f"`auth={settings.auth!r}` works only where OCI gives the identity"):
        return Principal(_FACTORIES[settings.auth](settings))


def settled(settings: Settings, principal: "Principal") -> Settings:
    """The settings with the region that the principal runs in, unless another one was given."""
    if settings.resolved_region is not None or settings.endpoint or principal.region is None:
        return settings
    region = endpoints.resolve_region(principal.region, environ=os.environ, where="the principal")
    return replace(settings, region=region.name, resolved_region=region)


class Principal:
    """A credential provider around a signer of the SDK, or one like it. Thread-safe."""

    def __init__(self, signer: Any) -> None:
        self._signer = signer
        # Guards _present and the signer, which has its new key before it has the token for it.
        self._lock = threading.RLock()
        self._present = self._signing(1)

    @property
    def region(self) -> str | None:
        """The region that the signer runs in, if it knows."""
        region = getattr(self._signer, "region", None)
        return str(region) if region else None

    def credential(self, cancel: StopSign | None = None) -> Credential:  # noqa: ARG002  CredentialProvider
        """The one that signs now; the signer itself renews a token that is about to expire."""
        return self._present

    def handle_unauthorized(
        self,
        credential: Credential,
        operation: str,  # noqa: ARG002  CredentialProvider
        cancel: StopSign | None = None,  # noqa: ARG002  CredentialProvider
    ) -> bool:
        """Refresh the signer's token, unless another thread has done so since it signed."""
        with self._lock:
            if self._present.generation != credential.generation:
                return True
            refresh = getattr(self._signer, "refresh_security_token", None)
            if refresh is None:
                return False
            before = self._signer.api_key
            with _told_apart("the signer's token could not be renewed"):
                refresh()
            # An instance's signer takes the token that it has got only when it signs.
            self._present.sign(method="GET", target="/", host="localhost", date="")
            self._present = self._signing(credential.generation + 1)
            # Signers whose token comes from outside give the same one back.
            return bool(self._signer.api_key != before)

    def _signing(self, generation: int) -> "PrincipalCredential":
        signer = self._signer
        return PrincipalCredential(
            signer.private_key, signer.api_key, generation, signer=signer, lock=self._lock
        )


@dataclass(frozen=True, slots=True)
class PrincipalCredential(Credential):
    """A credential whose signature is made by the SDK's signer."""

    signer: Any = field(default=None, repr=False)
    lock: AbstractContextManager[Any] = field(default_factory=threading.RLock, repr=False)

    def sign(
        self, *, method: str, target: str, host: str, date: str, json_body: bytes | None = None
    ) -> dict[str, str]:
        """As `Credential.sign`, with whatever headers the signer adds."""
        request = _Request(method, f"https://{host}{target}", target, json_body)
        request.headers = {"date": date, "host": host}
        if json_body is not None:
            request.headers["content-type"] = "application/json"
            request.headers["content-length"] = str(len(json_body))
        with self.lock, _told_apart("the signer has no token"):
            self.signer(request, enforce_content_headers=json_body is not None)
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers.pop("(request-target)", None)
        if json_body is None:
            headers.pop("content-type", None)  # the SDK fills it in; it is not ours to say here
        return headers


@dataclass(slots=True)
class _Request:
    """What the SDK's signers need of a prepared request."""

    method: str
    url: str
    path_url: str
    body: bytes | None
    headers: dict[str, str] = field(default_factory=dict, repr=False)


@contextlib.contextmanager
def _told_apart(what: str) -> Iterator[None]:
    """The SDK's errors, of many families, as one of ours."""
    try:
        yield
    except OcihaulError:
        raise
    except Exception as error:  # noqa: BLE001  its signers raise what their transports raise
        text = redact(f"{what}: {type(error).__name__}: {error}")
        raise RenewalUnavailable(
            text, hint="Check that this place has the identity, or choose another `auth`."
        ) from None


def _instance_principal(settings: Settings) -> Any:
    from oci.auth.signers import InstancePrincipalsSecurityTokenSigner

    return InstancePrincipalsSecurityTokenSigner(**_trust(settings))


def _instance_obo_user(settings: Settings) -> Any:
    from oci.auth.signers import InstancePrincipalsDelegationTokenSigner

    if settings.delegation_token_file is None:
        raise ConfigError("there is no delegation_token_file")
    try:
        token = read_text(settings.delegation_token_file).strip()
    except (OSError, DocumentError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is {error}"
        raise ConfigError(
            f"the delegation token {settings.delegation_token_file} cannot be read: {reason}",
            hint="Name the file with it in delegation_token_file.",
        ) from None
    return InstancePrincipalsDelegationTokenSigner(delegation_token=token, **_trust(settings))


def _resource_principal(settings: Settings) -> Any:  # noqa: ARG001  it reads its variables
    from oci.auth.signers import get_resource_principals_signer

    return get_resource_principals_signer()


def _oke_workload_identity(settings: Settings) -> Any:  # noqa: ARG001  the same
    from oci.auth.signers import get_oke_workload_identity_resource_principal_signer

    return get_oke_workload_identity_resource_principal_signer(
        service_account_token_path=os.environ.get("OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_PATH"),
        service_account_token=os.environ.get("OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_STRING"),
    )


def _trust(settings: Settings) -> dict[str, str]:
    if settings.cert_bundle is None:
        return {}
    return {"federation_client_cert_bundle_verify": str(settings.cert_bundle)}


_FACTORIES: dict[str, Callable[[Settings], Any]] = {
    "instance_principal": _instance_principal,
    "instance_obo_user": _instance_obo_user,
    "resource_principal": _resource_principal,
    "oke_workload_identity": _oke_workload_identity,
}
