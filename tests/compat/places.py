"""The places where OCI gives a program its identity, as far as the SDK asks them.

An instance asks its metadata for a certificate and has the auth service give a token for it; a pod
has the cluster's proxy give one. Both bring the public key of a pair that the SDK made.
"""

import base64
import json
import random
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509.oid import NameOID

from ocihaul.emulator import Emulator
from ocihaul.emulator.auth import TENANCY, private_pem
from tests.support import rsa_key

#: The port of a cluster's proxy, which the SDK does not let one choose.
_CLUSTER_PORT = 12250


@dataclass
class Places:
    """Where they are, and who has asked: a path and the `authorization` with each entry."""

    metadata: str
    host: str
    ca_file: Path
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def region(self) -> str:
        """A region with a dot is a domain to the SDK: it leads the federation here."""
        return f"x.y@{self.host}:{_CLUSTER_PORT}"

    def tokens_given(self) -> int:
        """By the auth service or the cluster."""
        return sum(path in {_FEDERATION, _CLUSTER} for path, _ in self.asked)


_FEDERATION = "/v1/x509"
_CLUSTER = "/resourcePrincipalSessionTokens"


@contextmanager
def places(oci: Emulator, ca_file: Path) -> Iterator[Places]:
    """Both of them; the certificate that the second is to be trusted by goes to `ca_file`."""
    # An address of loopback of its own, as the port cannot be.
    host = f"127.{random.randrange(1, 255)}.{random.randrange(255)}.{random.randrange(1, 255)}"  # noqa: S311
    authority = trustme.CA()
    authority.cert_pem.write_to_path(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    there = Places("", host, ca_file)
    metadata = ThreadingHTTPServer(("127.0.0.1", 0), _handler(oci, there))
    trusted = ThreadingHTTPServer((host, _CLUSTER_PORT), _handler(oci, there))
    trusted.socket = context.wrap_socket(trusted.socket, server_side=True)
    there.metadata = f"http://127.0.0.1:{metadata.server_port}/opc/v2"
    threads = [
        threading.Thread(target=server.serve_forever, args=(0.05,))
        for server in (metadata, trusted)
    ]
    for thread in threads:
        thread.start()
    try:
        yield there
    finally:
        for server in (metadata, trusted):
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()


def _handler(oci: Emulator, there: Places) -> type[BaseHTTPRequestHandler]:
    certificate = _certificate(rsa_key()).public_bytes(Encoding.PEM)
    metadata = {
        "/opc/v2/instance/region": there.region.encode(),
        "/opc/v2/identity/cert.pem": certificate,
        "/opc/v2/identity/key.pem": private_pem(rsa_key()),
        "/opc/v2/identity/intermediate.pem": certificate,
    }

    def token_for(public_key: str) -> str:
        key = load_der_public_key(base64.b64decode(public_key))
        assert isinstance(key, rsa.RSAPublicKey)
        return oci.auth.admit(key).text

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(metadata[self.path])

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path == _FEDERATION:
                self.answer(json.dumps({"token": token_for(body["publicKey"])}).encode())
            else:
                given = json.dumps({"token": f"ST${token_for(body['podKey'])}"})
                self.answer(base64.b64encode(given.encode()))

        def answer(self, content: bytes) -> None:
            there.asked.append((self.path, self.headers.get("authorization", "")))
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Handler


def _certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    """An instance's: it names the tenancy."""
    name = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"opc-tenant:{TENANCY}")]
    )
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
