"""Connections that are opened before their requests: used by these, and never one too many."""

import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from ocihaul.endpoints import Origin
from ocihaul.http.client import exchange
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import Request, Stopped, WireError
from ocihaul.transport.pool import Pool
from tests.world import world

GET = Request("GET", "/n", {"host": "x", "connection": "keep-alive"})


class Counting(Dialer):
    """Counts what it opens; none before `gate` is set. Every one is refused once it is `broken`."""

    def __init__(self, ca_file: Path | None = None) -> None:
        super().__init__(ca_file=ca_file)
        self.gate = threading.Event()
        self.opened: list[socket.socket] = []
        self.broken = False

    def open(self, origin: Origin, **more: object) -> socket.socket:
        self.gate.wait(10)
        if self.broken:
            raise WireError("no way there")
        sock = super().open(origin, **more)  # type: ignore[arg-type]  # passed on
        self.opened.append(sock)
        return sock


@contextmanager
def pooled(tmp_path: Path, *, tls: bool) -> Iterator[tuple[Pool, Counting, Origin]]:
    with world(tmp_path, tls=tls) as w:
        dialer = Counting(w.oci.ca_file if tls else None)
        with Pool(dialer, stop=w.stop) as pool:
            yield pool, dialer, Origin.parse(w.oci.endpoint)


def until(fact: object) -> None:
    end = time.monotonic() + 10
    while not fact():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_requests_go_over_what_was_opened_for_them(tmp_path: Path, tls: bool) -> None:
    with pooled(tmp_path, tls=tls) as (pool, dialer, origin):
        pool.open_ahead(origin, 3)
        with ThreadPoolExecutor(3) as threads:
            answers = [threads.submit(exchange, pool, origin, GET) for _ in range(3)]
            dialer.gate.set()
            assert {answer.result().status for answer in answers} == {401}
        # A request may also take the connection of one that has ended.
        assert 1 <= len(dialer.opened) <= 3


def test_session_tickets_are_no_reason_to_throw_a_connection_away(tmp_path: Path) -> None:
    with pooled(tmp_path, tls=True) as (pool, dialer, origin):
        dialer.gate.set()
        pool.open_ahead(origin, 1)
        until(lambda: dialer.opened)
        (sock,) = dialer.opened
        assert isinstance(sock, ssl.SSLSocket)
        assert sock.version() == "TLSv1.3"
        # The tickets are there, as bytes that nobody has read.
        until(lambda: select.select([sock.fileno()], [], [], 0.0)[0])
        assert exchange(pool, origin, GET).status == 401
        assert dialer.opened == [sock]


def test_one_request_more_opens_its_own(tmp_path: Path) -> None:
    with pooled(tmp_path, tls=False) as (pool, dialer, origin):
        dialer.gate.set()
        pool.open_ahead(origin, 1)
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda _: exchange(pool, origin, GET), range(2)))
        assert len(dialer.opened) <= 2


def test_what_cannot_be_opened_is_told_by_the_request(tmp_path: Path) -> None:
    with pooled(tmp_path, tls=False) as (pool, dialer, origin):
        dialer.broken = True
        pool.open_ahead(origin, 2)
        with ThreadPoolExecutor(1) as threads:
            answer = threads.submit(exchange, pool, origin, GET)
            dialer.gate.set()
            with pytest.raises(WireError, match="no way there"):
                answer.result()


def test_a_stop_ends_the_wait_for_one(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        dialer = Counting()
        with Pool(dialer, stop=w.stop) as pool:
            origin = Origin.parse(w.oci.endpoint)
            pool.open_ahead(origin, 1)
            w.stop.set()
            with pytest.raises(Stopped):
                exchange(pool, origin, GET)
            dialer.gate.set()


def test_one_that_comes_after_the_end_is_closed(tmp_path: Path) -> None:
    with pooled(tmp_path, tls=False) as (pool, dialer, origin):
        pool.open_ahead(origin, 1)
        pool.close()
        dialer.gate.set()
        until(lambda: dialer.opened)
        until(lambda: dialer.opened[0].fileno() == -1)
