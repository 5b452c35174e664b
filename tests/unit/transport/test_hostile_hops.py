"""Proxies that answer rubbish, servers that say too much, or talk without end."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ocihaul.endpoints import Origin
from ocihaul.errors import ConfigError
from ocihaul.http.client import exchange
from ocihaul.threads import StopSign
from ocihaul.transport.channel import Timeouts
from ocihaul.transport.connection import Connection
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import Request, WireError
from ocihaul.transport.pool import Pool
from ocihaul.transport.proxies import Proxy

GET = Request("GET", "/n", {"host": "x"})


@contextmanager
def serving(answer: Callable[[socket.socket, bytes], None]) -> Iterator[int]:
    """A server on loopback that hands each connection and its first bytes to `answer`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                try:
                    while data := sock.recv(65536):
                        answer(sock, data)
                except OSError:
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@pytest.mark.parametrize("rubbish", [b"\x05\x00\r\n\r\n", b"SSH-2.0-OpenSSH\r\n\r\n"])
def test_a_proxy_that_does_not_speak_http_is_a_broken_connection(rubbish: bytes) -> None:
    with serving(lambda sock, _: sock.sendall(rubbish)) as port:
        dialer = Dialer(proxy=f"http://127.0.0.1:{port}", connect_timeout=5.0)
        with pytest.raises(WireError, match="proxy"):
            dialer.open(Origin.parse("https://service.test"))


def test_a_proxy_that_hangs_up_in_its_answer_is_a_broken_connection() -> None:
    def answer(sock: socket.socket, _: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 Conn")
        sock.shutdown(socket.SHUT_RDWR)

    with serving(answer) as port:
        dialer = Dialer(proxy=f"http://127.0.0.1:{port}", connect_timeout=5.0)
        with pytest.raises(WireError, match="proxy"):
            dialer.open(Origin.parse("https://service.test"))


@pytest.mark.parametrize(
    "url", ["http://user:sesame/x@proxy:8080", "http://user:1/sesame@proxy:8080", "u:sesame#@p:1"]
)
def test_a_proxy_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Proxy.parse(url)
    assert "sesame" not in repr(caught.value)
    assert caught.value.__context__ is None or "sesame" not in repr(caught.value.__context__)


def test_a_second_answer_that_nobody_asked_for_is_not_taken_for_the_next() -> None:
    connections = set()

    def answer(sock: socket.socket, _: bytes) -> None:
        connections.add(sock.getpeername())
        name = b"%d" % len(connections)
        good = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n" + name
        sock.sendall(good + b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nX")

    with serving(answer) as port, Pool(Dialer(environ={})) as pool:
        origin = Origin.parse(f"http://127.0.0.1:{port}")
        assert [exchange(pool, origin, GET).body for _ in range(3)] == [b"1", b"2", b"3"]
    assert len(connections) == 3


def test_a_server_that_only_ever_promises_an_answer_is_given_up() -> None:
    promised = threading.Event()

    def answer(sock: socket.socket, _: bytes) -> None:
        while True:
            sock.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" * 50)
            promised.set()

    with serving(answer) as port:
        sock = socket.create_connection(("127.0.0.1", port))
        connection = Connection(sock, timeouts=Timeouts(read=0.3), stop=threading.Event())
        started = time.monotonic()
        with pytest.raises(WireError, match=r"more than 0\.3 s"):
            connection.exchange(GET)
        connection.close()
    assert promised.is_set()
    assert time.monotonic() - started < 5


def test_a_server_that_promises_an_answer_and_takes_no_byte_is_given_up() -> None:
    promised = 0

    def answer(sock: socket.socket, _: bytes) -> None:
        nonlocal promised
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while promised < 400:  # 20 seconds, so that a failure of this test has an end
            sock.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
            promised += 1
            time.sleep(0.05)

    body = bytes(32 * 2**20)  # more than the buffers between the two take
    request = Request("PUT", "/o", {"host": "x", "content-length": str(len(body))}, body)
    with serving(answer) as port:
        sock = socket.create_connection(("127.0.0.1", port))
        connection = Connection(sock, timeouts=Timeouts(read=0.4), stop=threading.Event())
        with pytest.raises(WireError, match=r"more than 0\.4 s to take the next bytes"):
            connection.exchange(request)
        connection.close()
    assert promised < 400


@pytest.mark.parametrize("drip", [b"x", b"HTTP/1.1 102 Processing\r\n\r\n"])
def test_a_proxy_that_answers_without_end_is_given_up(drip: bytes) -> None:
    dripped = 0

    def answer(sock: socket.socket, _: bytes) -> None:
        nonlocal dripped
        if drip == b"x":
            sock.sendall(b"HTTP/1.1 200 OK\r\nvia: ")
        while dripped < 400:  # as above
            sock.sendall(drip)
            dripped += 1
            time.sleep(0.05)

    with serving(answer) as port:
        dialer = Dialer(proxy=f"http://127.0.0.1:{port}", connect_timeout=0.4)
        with pytest.raises(WireError, match="timed out"):
            dialer.open(Origin.parse("https://service.test"))
    assert dripped < 400


@pytest.mark.parametrize("host", ["a..test", ".test", f"{64 * 'a'}.test", "[::1", "a\u2100b.test"])
def test_a_host_that_nothing_can_be_called_is_a_setting_to_correct(host: str) -> None:
    with pytest.raises(ConfigError, match="not a base URL"):
        Origin.parse(f"https://user:sesame@{host}")
    with pytest.raises(ConfigError, match="cannot be used") as caught:
        Proxy.parse(f"http://user:sesame@{host}:3128")
    assert "sesame" not in str(caught.value)


def test_a_host_in_another_script_is_asked_for_by_its_ascii_name() -> None:
    origin = Origin.parse("https://b\u00fccher.test:4")
    assert origin.host_header == "xn--bcher-kva.test:4"
    assert Proxy.parse("http://b\u00fccher.test").host == "xn--bcher-kva.test"


def test_a_certificate_that_goes_bad_in_mid_upload_is_a_broken_connection() -> None:
    """A captive portal comes between; at first contact the same is a matter of settings."""
    portal = threading.Event()

    class Behind(Dialer):
        def open(
            self, origin: Origin, *, timeout: float | None = None, stop: StopSign | None = None
        ) -> socket.socket:
            if portal.is_set():
                raise ConfigError("the certificate is not trusted")
            return super().open(origin, timeout=timeout, stop=stop)

    def answer(sock: socket.socket, _: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    with serving(answer) as port, Pool(Behind(environ={})) as pool:
        origin = Origin.parse(f"http://127.0.0.1:{port}")
        assert exchange(pool, origin, GET).status == 200
        portal.set()
        with pytest.raises(WireError, match="not trusted"):
            exchange(pool, origin, GET)
        with pytest.raises(ConfigError):
            exchange(pool, Origin.parse(f"http://localhost:{port}"), GET)
