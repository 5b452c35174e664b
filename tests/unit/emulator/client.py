"""A tiny client of the tests' own: http.client and a signature, nothing of ocihaul's client."""

import base64
import hashlib
import http.client
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ocihaul.emulator import Emulator, EmulatorSession

BARE = ("date", "(request-target)", "host")
FULL = (*BARE, "content-length", "content-type", "x-content-sha256")


@dataclass
class Reply:
    """One answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The error code, if the body has one."""
        return self.json().get("code") if self.body else None


@dataclass
class Client:
    """Signs with a session; `key_id` and `skew` may be bent out of shape."""

    oci: Emulator
    session: EmulatorSession
    key_id: str | None = None
    skew: float = 0.0
    host: str | None = None
    date_header: str = "date"
    bucket: str = "backups"
    extra: dict[str, str] = field(default_factory=dict)

    def head_of(
        self,
        method: str,
        target: str,
        body: bytes | None,
        headers: Mapping[str, str],
        signed: tuple[str, ...] | None = None,
    ) -> dict[str, str]:
        """All headers, signature included."""
        sent = {
            self.date_header: formatdate(time.time() + self.skew, usegmt=True),
            "host": self.host or self.oci.host_port,
            **self.extra,
            **headers,
        }
        if body is not None:
            sent.setdefault("content-length", str(len(body)))
        bare = "/o/" in target or ("/u/" in target and method == "PUT")
        names = signed or (FULL if method in {"POST", "PUT"} and not bare else BARE)
        if "x-content-sha256" in names:
            digest = hashlib.sha256(body or b"").digest()
            sent.setdefault("x-content-sha256", base64.b64encode(digest).decode())
            sent.setdefault("content-type", "application/json")
        names = tuple(self.date_header if name == "date" else name for name in names)
        sent["authorization"] = self.sign(method, target, sent, names)
        return sent

    def sign(
        self, method: str, target: str, sent: Mapping[str, str], names: tuple[str, ...]
    ) -> str:
        """The Authorization header."""
        lines = [
            f"{name}: {method.lower()} {target}"
            if name == "(request-target)"
            else f"{name}: {sent[name]}"
            for name in names
        ]
        key = load_pem_private_key(self.session.private_key_pem, None)
        assert isinstance(key, rsa.RSAPrivateKey)
        value = key.sign("\n".join(lines).encode(), padding.PKCS1v15(), hashes.SHA256())
        key_id = self.key_id or f"ST${self.session.token}"
        return (
            f'Signature algorithm="rsa-sha256",headers="{" ".join(names)}",keyId="{key_id}",'
            f'signature="{base64.b64encode(value).decode()}",version="1"'
        )

    def call(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        signed: tuple[str, ...] | None = None,
    ) -> Reply:
        """One request on a connection of its own."""
        return self.exchange(
            method, target, body, self.head_of(method, target, body, headers or {}, signed)
        )

    def anonymous(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request without a signature, as curl would send it to the URL of a PAR."""
        sent = {"host": self.oci.host_port, **(headers or {})}
        if body is not None or method in {"PUT", "POST"}:
            sent["content-length"] = str(len(body or b""))
        return self.exchange(method, target, body, sent)

    def exchange(
        self, method: str, target: str, body: bytes | None, sent: Mapping[str, str]
    ) -> Reply:
        """Send these headers and no others."""
        host, port = self.oci.host_port.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            headers_read = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, headers_read, answer.read())
        finally:
            connection.close()

    def post(self, target: str, value: object, headers: Mapping[str, str] | None = None) -> Reply:
        """JSON."""
        return self.call("POST", target, json.dumps(value).encode(), headers)

    def path(self, kind: str, name: str | None = None) -> str:
        """`/n/…/b/…/{kind}[/{name}]`."""
        path = f"/n/{self.oci.namespace}/b/{self.bucket}/{kind}"
        return path if name is None else f"{path}/{quote(name, safe='')}"

    def put(self, name: str, data: bytes, **headers: str) -> Reply:
        """PutObject; underscores in header names become dashes."""
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.call("PUT", self.path("o", name), data, given)

    def get(self, name: str, query: str = "", **headers: str) -> Reply:
        """GetObject."""
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.call("GET", self.path("o", name) + query, None, given)

    def head(self, name: str, **headers: str) -> Reply:
        """HeadObject."""
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.call("HEAD", self.path("o", name), None, given)

    def create(self, name: str, body: Mapping[str, Any] | None = None, /, **headers: str) -> str:
        """CreateMultipartUpload; returns the upload id."""
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        reply = self.post(self.path("u"), {"object": name, **(body or {})}, given)
        assert reply.status == 200, reply
        return str(reply.json()["uploadId"])

    def part_target(self, name: str, upload: str, number: int) -> str:
        """Where a part goes."""
        return f"{self.path('u', name)}?uploadId={upload}&uploadPartNum={number}"

    def part(self, name: str, upload: str, number: int, data: bytes, /, **headers: str) -> Reply:
        """UploadPart."""
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.call("PUT", self.part_target(name, upload, number), data, given)

    def commit(self, name: str, upload: str, parts: Mapping[int, str], **headers: str) -> Reply:
        """CommitMultipartUpload."""
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        listed = [{"partNum": number, "etag": etag} for number, etag in parts.items()]
        target = f"{self.path('u', name)}?uploadId={upload}"
        return self.post(target, {"partsToCommit": listed, "partsToExclude": []}, given)

    def refresh(self, token: str | None = None) -> Reply:
        """RefreshToken."""
        current = token or self.session.token
        return self.post("/v1/authentication/refresh", {"currentToken": current})

    def raw(self) -> socket.socket:
        """A bare connection."""
        host, port = self.oci.host_port.rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=10)

    def head_bytes(
        self, method: str, target: str, length: int, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The head of a request whose body the test sends by hand."""
        sent = self.head_of(method, target, None, headers or {})
        sent["content-length"] = str(length)
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode()


def read_all(sock: socket.socket) -> bytes:
    """Until the end of the stream, or a reset."""
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data
