"""Several addresses of one host: the good one is found in time, and the bad one remembered."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ocihaul.endpoints import Origin
from ocihaul.http.client import exchange
from ocihaul.transport.dialer import STAGGER, Address, Dialer, Racer, in_order
from ocihaul.transport.message import Request, Stopped, WireError
from ocihaul.transport.pool import Pool, exchange_once
from tests.unit.transport.test_hostile_hops import serving
from tests.world import world

GET = Request("GET", "/n", {"host": "x"})
V4, V6 = socket.AF_INET, socket.AF_INET6


def ok(sock: socket.socket, _: bytes) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


@contextmanager
def black_hole() -> Iterator[int]:
    """A port on loopback whose backlog is full: the kernel drops every further SYN."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.settimeout(0.0)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        time.sleep(0.2)
        try:
            yield port
        finally:
            for filler in fillers:
                filler.close()


class Resolver:
    """Stands in for getaddrinfo: `host.…` has these ports of loopback; counts its calls."""

    def __init__(self, *ports: int) -> None:
        self.ports = ports
        self.calls = 0
        self._real = socket.getaddrinfo

    def __call__(self, host: str, port: int, *args: Any, **more: Any) -> list[Any]:
        if not host.startswith("host."):
            return self._real(host, port, *args, **more)
        self.calls += 1
        return [(V4, socket.SOCK_STREAM, 6, "", ("127.0.0.1", each)) for each in self.ports]


def resolve_to(monkeypatch: pytest.MonkeyPatch, *ports: int) -> Resolver:
    resolver = Resolver(*ports)
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return resolver


class Attempts:
    """Counts the connects to each port, by standing in for `socket.socket`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ports: list[int] = []
        attempts = self

        class Counting(socket.socket):
            def connect_ex(self, address: Any) -> int:
                attempts.ports.append(address[1])
                return super().connect_ex(address)

        monkeypatch.setattr("ocihaul.transport.dialer.socket.socket", Counting)


def test_finding_b11_a_black_hole_costs_a_quarter_second_and_only_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with black_hole() as hole, serving(ok) as port:
        resolver = resolve_to(monkeypatch, hole, port)
        attempts = Attempts(monkeypatch)
        dialer = Dialer(environ={}, connect_timeout=60.0, plain_http=True)
        origin = Origin.parse("http://host.test:80")
        started = time.monotonic()
        with Pool(dialer) as pool:
            for _ in range(5):
                assert exchange(pool, origin, GET).status == 200
        taken = time.monotonic() - started
        assert resolver.calls == 5
        assert attempts.ports == [hole, port, port, port, port, port]
    assert STAGGER <= taken < 10 * STAGGER


def test_finding_b11_a_proxy_and_a_single_question_are_raced_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def tunnel(sock: socket.socket, head: bytes) -> None:
        sock.sendall(b"HTTP/1.1 403 No\r\n\r\n" if head.startswith(b"CONNECT") else b"")
        ok(sock, head)

    with black_hole() as hole, serving(tunnel) as port:
        resolve_to(monkeypatch, hole, port)
        attempts = Attempts(monkeypatch)
        dialer = Dialer(proxy="http://host.test:1", connect_timeout=60.0)
        started = time.monotonic()
        origin = Origin.parse("http://127.0.0.1:9")
        done = exchange_once(dialer, origin, GET, timeout=60.0, stop=threading.Event())
        assert done.status == 200
        with pytest.raises(Exception, match="forbids"):
            dialer.open(Origin.parse("https://service.test"))
        assert time.monotonic() - started < 10 * 2 * STAGGER
        assert attempts.ports == [hole, port, port]


@pytest.mark.slow
def test_finding_b11_an_upload_and_a_renewal_use_the_good_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with black_hole() as hole, world(tmp_path, token_ttl=8, bandwidth=4_000_000) as w:
        good = int(w.oci.endpoint.rpartition(":")[2])
        resolve_to(monkeypatch, hole, good)
        attempts = Attempts(monkeypatch)
        source = w.file(20_000_000)
        w.log_in()
        url = f"http://host.localhost:{good}"
        flags = {"endpoint": url, "auth_endpoint": url, "session_wait": "0"}
        w.upload(source, flags=flags | {"allow_plain_http": True})
        assert w.arrived_whole(source)
        assert w.refreshes() > 0
        assert 1 <= attempts.ports.count(hole) <= 6  # the first connections begin together
        assert set(attempts.ports) == {hole, good}


def test_an_address_that_refuses_is_followed_by_the_next_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    with serving(ok) as port:
        resolve_to(monkeypatch, closed, port)
        racer = Racer()
        for _ in range(2):
            with racer.connect("host.test", 1, limit=9.0, stop=threading.Event()) as sock:
                assert sock.getpeername()[1] == port


def test_an_address_that_was_bad_is_used_when_the_good_one_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(ok) as second:
        with black_hole() as hole:
            resolve_to(monkeypatch, hole, second)
            racer = Racer()
            racer.connect("host.test", 1, limit=9.0, stop=threading.Event()).close()
        with socket.create_server(("127.0.0.1", hole)), socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # and does not listen
            resolve_to(monkeypatch, hole, closed.getsockname()[1])
            with racer.connect("host.test", 1, limit=9.0, stop=threading.Event()) as sock:
                assert sock.getpeername()[1] == hole


def test_when_no_address_answers_each_has_its_time_and_all_are_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with black_hole() as one, black_hole() as two:
        resolve_to(monkeypatch, one, two)
        attempts = Attempts(monkeypatch)
        with pytest.raises(WireError, match=r"cannot connect to host\.test:7: timed out"):
            Racer().connect("host.test", 7, limit=0.1, stop=threading.Event())
        assert attempts.ports == [one, two]


def test_a_stop_is_heard_in_a_race(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    with black_hole() as hole:
        resolve_to(monkeypatch, hole)
        threading.Timer(0.3, stop.set).start()
        with pytest.raises(Stopped):
            Racer().connect("host.test", 1, limit=300.0, stop=stop)


def test_a_host_without_an_address_is_a_broken_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_to(monkeypatch)
    with pytest.raises(WireError, match="no address"):
        Racer().connect("host.test", 1, limit=1.0, stop=threading.Event())


def addresses(*names: str) -> list[Address]:
    return [Address(V6 if name[0] == "6" else V4, (name, 1)) for name in names]


@pytest.mark.parametrize(
    ("found", "bad", "expected"),
    [
        ("6a 6b 6c 4a 4b", "", "6a 4a 6b 4b 6c"),
        ("4a 4b 6a", "", "4a 6a 4b"),
        ("6a 4a", "6a", "4a 6a"),
        ("4a 4b 4c", "4b", "4a 4c 4b"),
        ("4a 4a", "", "4a"),
        ("", "", ""),
    ],
)
def test_families_take_turns_and_the_bad_come_last(found: str, bad: str, expected: str) -> None:
    order = in_order(addresses(*found.split()), set(addresses(*bad.split())))
    assert order == addresses(*expected.split())
