"""The command behind proxies that refuse, that never come to an end, and that work."""

import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.unit.transport.test_hostile_hops import serving
from tests.world import world

GET_NAMESPACE = ("os", "ns", "get")


class Proxy:
    """Answers each CONNECT with `answer`; keeps what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.heads: list[str] = []

    def __call__(self, sock: socket.socket, head: bytes) -> None:
        self.heads.append(head.decode("latin-1"))
        sock.sendall(self.answer)


@pytest.mark.parametrize(
    ("status", "words"),
    [(407, "wants a user and a password"), (403, "forbids a connection to 127.0.0.1:")],
)
@pytest.mark.parametrize("command", [GET_NAMESPACE, ("session", "refresh")])
def test_finding_b14_a_proxy_that_refuses_ends_the_command_at_once(
    tmp_path: Path, status: int, words: str, command: tuple[str, ...]
) -> None:
    proxy = Proxy(f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n".encode())
    with world(tmp_path, tls=True) as w, serving(proxy) as port:
        ran = w.run(*command, "--proxy", f"http://127.0.0.1:{port}")
        assert ran.code == 1, ran.err
        assert words in ran.err
        assert f"the proxy 127.0.0.1:{port}" in ran.err
        assert len(proxy.heads) == 1
        assert w.oci.log.entries() == []


def test_finding_b14_a_wrong_password_of_a_proxy_is_named_and_not_shown(tmp_path: Path) -> None:
    proxy = Proxy(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n")
    with world(tmp_path, tls=True) as w, serving(proxy) as port:
        ran = w.run(*GET_NAMESPACE, https_proxy=f"http://me:sesame-1@127.0.0.1:{port}")
        assert ran.code == 1, ran.err
        assert "does not accept the user and password" in ran.err
        assert "sesame" not in ran.err + ran.out
        assert "proxy-authorization: basic " in proxy.heads[0].lower()


@pytest.mark.slow
def test_finding_b14_a_proxy_with_a_bad_time_is_tried_again(tmp_path: Path) -> None:
    proxy = Proxy(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
    with world(tmp_path, tls=True) as w, serving(proxy) as port:
        url = f"http://127.0.0.1:{port}"
        ran = w.run(*GET_NAMESPACE, "--max-retries", "3", "--proxy", url)
        assert ran.code == 75, ran.err
        assert len(proxy.heads) == 3


def test_finding_a04_a_command_before_a_proxy_without_end_hears_sigterm(tmp_path: Path) -> None:
    dripped = threading.Event()

    def drip(sock: socket.socket, __: bytes) -> None:
        for _ in range(6000):  # five minutes, so that a failure of this test has an end
            sock.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
            dripped.set()
            time.sleep(0.05)

    with world(tmp_path, tls=True) as w, serving(drip) as port:
        url = f"http://127.0.0.1:{port}"
        running = w.start(*GET_NAMESPACE, "--connection-timeout", "300", "--proxy", url)
        assert dripped.wait(60)
        time.sleep(0.5)
        running.send_signal(signal.SIGTERM)
        began = time.monotonic()
        ran = w.finish(running, timeout=100)
        assert ran.code == 130, ran.err
        assert time.monotonic() - began < 20


def test_finding_a04_a_flood_before_the_tunnel_is_a_broken_connection(tmp_path: Path) -> None:
    def flood(sock: socket.socket, __: bytes) -> None:
        for _ in range(100_000):  # so that a failure of this test has an end
            sock.sendall(100 * b"HTTP/1.1 102 P\r\n\r\n")

    with world(tmp_path, tls=True) as w, serving(flood) as port:
        url = f"http://127.0.0.1:{port}"
        given = ("--connection-timeout", "300", "--max-retries", "1", "--proxy", url)
        ran = w.run(*GET_NAMESPACE, *given)
        assert ran.code == 75, ran.err
        assert "answers without end" in ran.err
