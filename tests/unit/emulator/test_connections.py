"""100 Continue, early answers, keep-alive, pacing, closing."""

import contextlib
import errno
import http.client
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest

from ocihaul.emulator import Emulator, Fault, Settings

from .client import Client, read_all

EXPECT = {"expect": "100-continue"}


def test_who_waits_for_100_gets_it(oci: Emulator, client: Client) -> None:
    with client.raw() as sock:
        sock.sendall(client.head_bytes("PUT", client.path("o", "it"), 4, EXPECT))
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"data")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
    (entry,) = oci.log.entries()
    assert (entry.expected_100, entry.sent_100) == (True, True)


def test_a_late_100(oci: Emulator, client: Client) -> None:
    oci.configure(continue_delay=0.2)
    began = time.monotonic()
    with client.raw() as sock:
        sock.sendall(client.head_bytes("PUT", client.path("o", "it"), 4, EXPECT))
        assert b" 100 " in sock.recv(65536)
    assert time.monotonic() - began >= 0.2


def test_expect_may_be_ignored(oci: Emulator, client: Client) -> None:
    oci.configure(ignore_expect=True)
    with client.raw() as sock:
        sock.sendall(client.head_bytes("PUT", client.path("o", "it"), 4, EXPECT))
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.settimeout(5)
        sock.sendall(b"data")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert oci.log.entries()[0].sent_100 is False


@pytest.mark.parametrize("early_close", [True, False])
def test_a_401_comes_from_the_headers_alone(
    oci: Emulator, client: Client, early_close: bool
) -> None:
    oci.configure(early_close=early_close, linger_seconds=0.2)
    oci.revoke_all()
    with client.raw() as sock:
        sock.sendall(client.head_bytes("PUT", client.path("o", "it"), 10**9, EXPECT))
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in answer
    (entry,) = oci.log.entries()
    assert (entry.status, entry.sent_100, entry.body_received) == (401, False, 0)


def test_who_keeps_sending_after_an_early_answer_is_reset(oci: Emulator, client: Client) -> None:
    oci.revoke_all()
    with client.raw() as sock:
        sock.sendall(client.head_bytes("PUT", client.path("o", "it"), 10**9))
        with pytest.raises(ConnectionError):
            sock.sendall(bytes(10**8))
    assert oci.log.wait_for(lambda entry: entry.finished_at is not None).status == 401


@pytest.mark.parametrize("by_fault", [True, False])
def test_a_patient_service_reads_the_rest_and_goes_on(
    oci: Emulator, client: Client, by_fault: bool
) -> None:
    if by_fault:
        oci.faults.add(Fault(operation="PutObject", status=503, early=True, drain=True))
    else:
        oci.configure(early_close=False, max_object_put=10)
    with client.raw() as sock:
        sock.sendall(client.head_bytes("PUT", client.path("o", "it"), 100_000))
        sock.sendall(bytes(100_000))
        assert sock.recv(65536).startswith((b"HTTP/1.1 503 ", b"HTTP/1.1 413 "))
        sock.sendall(client.head_bytes("GET", "/n", 0))
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
    first, second = oci.log.entries()
    assert first.connection == second.connection
    assert first.body_received == 100_000


def test_a_fault_may_close_after_a_whole_exchange(oci: Emulator, client: Client) -> None:
    oci.faults.add(Fault(operation="GetNamespace", status=503, close=True))
    with client.raw() as sock:
        sock.sendall(client.head_bytes("GET", "/n", 0))
        assert read_all(sock).startswith(b"HTTP/1.1 503 ")


def test_requests_may_follow_each_other_without_waiting(oci: Emulator, client: Client) -> None:
    head = client.head_bytes("PUT", client.path("o", "it"), 4)
    with client.raw() as sock:
        sock.sendall((head + b"data") * 3)
        oci.log.wait_for(lambda entry: entry.sequence == 3)
    assert oci.log.count(operation="PutObject", status=200) == 3


def test_what_is_not_http_is_answered_400(oci: Emulator, client: Client) -> None:
    with client.raw() as sock:
        sock.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert read_all(sock).startswith(b"HTTP/1.1 400 ")
    assert oci.log.entries()[0].operation == "Malformed"


def test_a_body_without_a_length_is_refused(client: Client) -> None:
    head = client.head_bytes("PUT", client.path("o", "it"), 0)
    head = head.replace(b"content-length: 0", b"transfer-encoding: chunked")
    with client.raw() as sock:
        sock.sendall(head)
        assert read_all(sock).startswith(b"HTTP/1.1 411 ")


def test_a_client_that_leaves_stores_nothing(oci: Emulator, client: Client) -> None:
    with client.raw() as sock:
        sock.sendall(client.head_bytes("PUT", client.path("o", "it"), 1000) + b"half")
    entry = oci.log.wait_for(lambda entry: entry.finished_at is not None)
    assert (entry.status, entry.body_received) == (None, 4)
    assert oci.object_names("backups") == []


def test_bandwidth_is_shared_by_all_bodies(oci: Emulator, client: Client) -> None:
    oci.configure(bandwidth=1_000_000.0)
    began = time.monotonic()
    client.put("it", bytes(300_000))
    assert 0.25 < time.monotonic() - began < 3


def test_idle_connections_are_closed(oci: Emulator, client: Client) -> None:
    oci.configure(idle_timeout=0.1)
    with client.raw() as sock:
        assert sock.recv(1) == b""


def test_closing_is_quick_even_with_stuck_connections() -> None:
    with contextlib.ExitStack() as stack:
        oci = stack.enter_context(Emulator(Settings(refresh_outage="hang")))
        client = Client(oci, oci.login())
        oci.faults.add(Fault(operation="PutObject", stall_at_byte=1, stall_seconds=60))
        for length in (10, 20):
            sock = stack.enter_context(client.raw())
            sock.sendall(client.head_bytes("PUT", client.path("o", "it"), length) + b"x")
        stack.enter_context(client.raw())
        time.sleep(0.1)
        began = time.monotonic()
        oci.close()
        assert time.monotonic() - began < 10


def test_closing_is_quick_in_the_middle_of_a_handshake() -> None:
    with Emulator(Settings(tls=True)) as oci, Client(oci, oci.login()).raw():
        time.sleep(0.1)
        began = time.monotonic()
        oci.close()
        assert time.monotonic() - began < 10


def test_tls_with_a_ca_of_our_own() -> None:
    with Emulator(Settings(tls=True)) as oci:
        assert oci.endpoint.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(oci.ca_file))
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        with pytest.raises(urllib.error.HTTPError) as caught:
            opener.open(f"{oci.endpoint}/n", timeout=5)
        caught.value.close()
        assert caught.value.code == 401
        (entry,) = oci.log.entries()
        assert entry.error_detail == "there is no authorization header"


def test_it_goes_on_when_a_connection_cannot_be_accepted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refusals = socket.socket.accept, [OSError(errno.EMFILE, "Too many open files")] * 3

    def accept(self: socket.socket) -> tuple[socket.socket, object]:
        if refusals:
            raise refusals.pop()
        return real(self)

    monkeypatch.setattr(socket.socket, "accept", accept)
    for _ in range(3):  # the first one is accepted by the call that waits already
        assert client.call("GET", "/n").status == 200
    assert not refusals


def test_a_client_for_which_there_is_no_thread_is_turned_away(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = threading.Thread.start
    refused: list[str] = []

    def start(self: threading.Thread) -> None:
        if self.name.startswith("emulator-") and not refused:
            refused.append(self.name)
            raise RuntimeError("can't start new thread")
        real(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises((OSError, http.client.HTTPException)):
        client.call("GET", "/n")
    assert client.call("GET", "/n").status == 200
    assert refused


@pytest.mark.parametrize(
    ("method", "target", "body", "code"),
    [
        ("POST", "/n/ns1/b/backups/actions/batchDeleteObjects", b'{"objects": [7]}', "Parameter"),
        ("POST", "/n/ns1/b/backups/u", b'{"object": "\\ud800"}', "ObjectName"),
        ("POST", "/n/ns1/b/backups/u", b"[" * 100_000, "Parameter"),
        ("POST", "/n/ns1/b/backups/u", b'{"object": ' * 50_000, "Parameter"),
    ],
)
def test_odd_bodies_are_answered_400(
    client: Client, method: str, target: str, body: bytes, code: str
) -> None:
    reply = client.call(method, target, body)
    assert reply.status == 400
    assert reply.code is not None
    assert reply.code == f"Invalid{code}"


def test_a_page_of_another_list_is_answered_400(oci: Emulator, client: Client) -> None:
    oci.configure(page_limit=1)
    for name in ("a", "b"):
        oci.put_object("backups", name, b"")
    listed = client.call("GET", "/n/ns1/b/backups/objectversions")
    token = quote(listed.headers["opc-next-page"], safe="")
    for path in ("/n/ns1/b/backups/u", "/n/ns1/b/backups/retentionRules"):
        assert client.call("GET", f"{path}?page={token}").code == "InvalidPage"
