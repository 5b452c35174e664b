"""Our storage client on a signer of the SDK's kind."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ocihaul.client import Client
from ocihaul.config import Flags, resolve
from ocihaul.emulator import Emulator
from ocihaul.errors import ConfigError, RenewalUnavailable, ServiceError, UsageError
from ocihaul.integrations.principals import Principal, open_principal, settled
from ocihaul.session.credential import sign


class Signer:
    """Behaves like the SDK's: it is called with a request, and refreshes when told to."""

    def __init__(self, oci: Emulator) -> None:
        self.oci = oci
        self.session = oci.login()
        key = load_pem_private_key(self.session.private_key_pem, None)
        assert isinstance(key, RSAPrivateKey)
        self.private_key = key
        self.api_key = f"ST${self.session.token}"
        self.region = "eu-frankfurt-1"
        self.refreshed = 0
        self.gives_another = True

    def __call__(self, request: Any, enforce_content_headers: bool) -> Any:
        request.headers.setdefault("content-type", "application/json")
        request.headers["opc-obo-token"] = "for-somebody"
        body = request.body if enforce_content_headers else None
        request.headers |= sign(
            self.private_key,
            self.api_key,
            method=request.method,
            target=request.path_url,
            host=request.headers["host"],
            date=request.headers["date"],
            json_body=body,
        )
        return request

    def refresh_security_token(self) -> None:
        self.refreshed += 1
        if self.gives_another:
            self.api_key = f"ST${self.oci.issue_token(self.session)}"


class InstanceSigner(Signer):
    """What a refresh has brought is in use from the next signature on, as an instance's is."""

    fetched: str | None = None

    def __call__(self, request: Any, enforce_content_headers: bool) -> Any:
        self.api_key = self.fetched or self.api_key
        return super().__call__(request, enforce_content_headers)

    def refresh_security_token(self) -> None:
        before = self.api_key
        super().refresh_security_token()
        self.fetched, self.api_key = self.api_key, before


def settings_of(oci: Emulator, auth: str = "instance_principal", **flags: Any) -> Any:
    flags = {"auth": auth, "endpoint": oci.endpoint} | flags
    return resolve(Flags(**flags), {}, Path("/nonexistent"))


@pytest.mark.parametrize("kind", [Signer, InstanceSigner])
def test_our_client_signs_with_it_and_refreshes_after_a_401(kind: type[Signer]) -> None:
    with Emulator() as oci:
        signer = kind(oci)
        oci.revoke_all()
        principal = Principal(signer)
        settings = settings_of(oci)
        with Client(settings, credentials=principal) as client:
            storage = client.storage
            assert storage.get_namespace() == "ns1"
            storage.create_multipart_upload("ns1", "backups", {"object": "x"}, {})
        assert signer.refreshed == 1
        statuses = [entry.status for entry in oci.log.entries(operation="GetNamespace")]
        assert statuses == [401, 200]
        assert all(entry.headers["opc-obo-token"] == "for-somebody" for entry in oci.log.entries())


def test_many_threads_refused_with_one_token_refresh_once() -> None:
    with Emulator() as oci:
        signer = Signer(oci)
        principal = Principal(signer)
        credential = principal.credential()
        with ThreadPoolExecutor(16) as threads:
            said = list(
                threads.map(lambda _: principal.handle_unauthorized(credential, "X"), range(64))
            )
        assert all(said)
        assert signer.refreshed == 1


def test_nobody_signs_while_the_signer_refreshes() -> None:
    """The SDK's signers have their new key before they have the token for it."""
    with Emulator() as oci:
        begun, refreshing = threading.Event(), threading.Event()
        calls = []

        class Watched(Signer):
            def __call__(self, request: Any, enforce_content_headers: bool) -> Any:
                calls.append(refreshing.is_set())
                return super().__call__(request, enforce_content_headers)

            def refresh_security_token(self) -> None:
                refreshing.set()
                begun.set()
                time.sleep(0.3)
                super().refresh_security_token()
                refreshing.clear()

        principal = Principal(Watched(oci))

        def sign(_: int) -> None:
            assert begun.wait(30)
            principal.credential().sign(method="GET", target="/n", host="h", date="d")

        with ThreadPoolExecutor(9) as threads:
            signed = threads.map(sign, range(8))
            assert threads.submit(
                principal.handle_unauthorized, principal.credential(), "X"
            ).result()
            assert len(list(signed)) == 8
        assert calls == [False] * 9  # those, and the one that takes the new token


def test_a_token_that_comes_from_outside_lets_the_401_stand() -> None:
    with Emulator() as oci:
        signer = Signer(oci)
        signer.gives_another = False
        oci.revoke_all()
        with (
            Client(settings_of(oci), credentials=Principal(signer)) as client,
            pytest.raises(ServiceError),
        ):
            client.storage.get_namespace()
        assert oci.log.count(operation="GetNamespace") == 1


def test_a_refresh_that_fails_is_our_error_without_the_token() -> None:
    with Emulator() as oci:
        signer = Signer(oci)
        principal = Principal(signer)

        def refuse() -> None:
            raise KeyError(signer.api_key)

        signer.refresh_security_token = refuse  # type: ignore[method-assign]  # the test's own
        with pytest.raises(RenewalUnavailable) as raised:
            principal.handle_unauthorized(principal.credential(), "X")
        assert signer.session.token not in str(raised.value)
        assert signer.session.token not in repr(principal.credential())


def test_the_principals_region_is_used_where_none_was_given(tmp_path: Path) -> None:
    with Emulator() as oci:
        principal = Principal(Signer(oci))
        bare = resolve(Flags(auth="resource_principal"), {}, tmp_path)
        with pytest.raises(ConfigError):
            bare.object_storage_endpoint(None)
        assert "eu-frankfurt-1" in settled(bare, principal).object_storage_endpoint(None)
        named = resolve(Flags(auth="resource_principal", region="us-ashburn-1"), {}, tmp_path)
        assert settled(named, principal) is named


def test_acting_for_a_user_needs_the_file_that_says_for_whom(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="delegation_token_file"):
        resolve(Flags(auth="instance_obo_user"), {}, tmp_path)
    token = tmp_path / "token"
    token.write_text("x")
    environ = {"OCI_CLI_DELEGATION_TOKEN_FILE": str(token)}
    settings = resolve(Flags(auth="instance_obo_user"), environ, tmp_path)
    assert settings.delegation_token_file == token


def test_without_the_sdk_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    settings = resolve(Flags(auth="instance_principal", region="us-ashburn-1"), {}, tmp_path)
    with pytest.raises(UsageError) as raised:
        open_principal(settings)
    assert "pip install 'oci<" in str(raised.value)
