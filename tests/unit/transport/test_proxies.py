"""Which proxy is on the way, and how hosts and ports are written when it is asked for them."""

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme

from ocihaul.endpoints import Origin
from ocihaul.errors import ConfigError
from ocihaul.http.client import exchange
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import Request, Stopped, WireError
from ocihaul.transport.pool import Pool, exchange_once
from ocihaul.transport.proxies import MOST_ANSWER, proxy_for
from tests.unit.transport.test_hostile_hops import serving

SERVICE = Origin.parse("https://objectstorage.us-ashburn-1.oraclecloud.com")
GET = Request("GET", "/n", {"host": "x"})


def chosen(environ: Mapping[str, str], origin: Origin = SERVICE) -> str | None:
    proxy = proxy_for(origin, explicit=None, environ=environ)
    return None if proxy is None else str(proxy)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"https_proxy": "http://low:1", "HTTPS_PROXY": "http://up:2"}, "low:1"),
        ({"HTTPS_PROXY": "http://up:2", "https_proxy": "http://low:1"}, "low:1"),
        ({"HTTPS_PROXY": "http://up:2", "https_proxy": ""}, None),
        ({"https_proxy": "", "HTTPS_PROXY": "http://up:2"}, None),
        ({"HTTPS_PROXY": "http://up:2"}, "up:2"),
        ({"HTTPS_PROXY": "", "ALL_PROXY": "http://all:3"}, "all:3"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://up:2", "ALL_PROXY": "http://all:3"}, "all:3"),
        ({"ALL_PROXY": "http://all:3", "all_proxy": ""}, None),
        ({"http_proxy": "http://plain:4"}, None),
    ],
)
def test_finding_b13_the_lower_case_wins_and_an_empty_one_switches_off(
    environ: Mapping[str, str], expected: str | None
) -> None:
    assert chosen(environ) == expected


@pytest.mark.parametrize(
    ("name", "expected"), [("HTTP_PROXY", None), ("http_proxy", "127.0.0.2:5")]
)
def test_finding_b13_what_a_client_of_a_cgi_program_sends_is_no_proxy(
    name: str, expected: str | None
) -> None:
    origin = Origin.parse("http://localhost:80")
    environ = {name: "http://127.0.0.2:5"}
    assert chosen(environ, origin) == "127.0.0.2:5"
    assert chosen(environ | {"REQUEST_METHOD": "GET"}, origin) == expected


@pytest.mark.parametrize(
    ("no_proxy", "url", "bypassed"),
    [
        ("oraclecloud.com", str(SERVICE), True),
        (".oraclecloud.com", str(SERVICE), True),
        ("*.oraclecloud.com", str(SERVICE), True),
        ("OracleCloud.COM", str(SERVICE), True),
        ("other, oraclecloud.com:443", str(SERVICE), True),
        ("other oraclecloud.com", str(SERVICE), True),
        ("oraclecloud.com:8443", str(SERVICE), False),
        ("cloud.com", str(SERVICE), False),
        ("*", str(SERVICE), True),
        ("a, *", str(SERVICE), True),
        (".", str(SERVICE), False),
        ("*.", str(SERVICE), False),
        ("", str(SERVICE), False),
        ("10.0.0.0/8", "https://10.7.1.2", True),
        ("10.0.0.0/8", "https://11.7.1.2", False),
        ("10.7.1.2", "https://10.7.1.2", True),
        ("7.1.2", "https://10.7.1.2", False),
        ("10.7.1.2:9", "https://10.7.1.2:9", True),
        ("10.7.1.2:9", "https://10.7.1.2:8", False),
        ("::1", "https://[::1]:9", True),
        ("[::1]", "https://[::1]", True),
        ("[::1]:9", "https://[::1]:9", True),
        ("[::1]:9", "https://[::1]:8", False),
        ("0:0::1", "https://[::1]", True),
        ("fd00::/8", "https://[fd12::7]:443", True),
        ("fd00::/8", "https://[fe80::7]:443", False),
        ("10.0.0.0/8", "https://[::1]", False),
    ],
)
def test_finding_b12_b13_no_proxy_knows_domains_ports_addresses_and_networks(
    no_proxy: str, url: str, bypassed: bool
) -> None:
    environ = {"https_proxy": "http://p:1", "no_proxy": no_proxy}
    assert (chosen(environ, Origin.parse(url)) is None) is bypassed


def test_finding_b13_an_empty_no_proxy_leaves_the_other_one() -> None:
    environ = {"https_proxy": "http://p:1", "no_proxy": "", "NO_PROXY": "oraclecloud.com"}
    assert chosen(environ) is None
    assert chosen(environ | {"no_proxy": "elsewhere"}) == "p:1"


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://[::1]", "[::1]:443"),
        ("https://[2001:db8::7]:8443", "[2001:db8::7]:8443"),
        ("https://service.test", "service.test:443"),
    ],
)
def test_finding_b12_connect_names_an_ipv6_host_in_brackets(url: str, target: str) -> None:
    heads = []

    def answer(sock: socket.socket, head: bytes) -> None:
        heads.append(head.decode())
        sock.sendall(b"HTTP/1.1 500 No\r\n\r\n")

    with serving(answer) as port:
        dialer = Dialer(proxy=f"http://127.0.0.1:{port}", connect_timeout=5.0)
        with pytest.raises(WireError, match="500") as caught:
            dialer.open(Origin.parse(url))
    assert heads[0].startswith(f"CONNECT {target} HTTP/1.1\r\n")
    assert f"host: {target}\r\n" in heads[0].lower()
    assert target in str(caught.value)


def test_finding_b12_tls_to_an_ipv6_host_goes_through_a_tunnel(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("::1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    hosts: list[str] = []

    def answer(sock: socket.socket, _: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with context.wrap_socket(sock.dup(), server_side=True) as tls:
            head = tls.recv(65536).decode()
            hosts.extend(line for line in head.split("\r\n") if line.startswith("host"))
            tls.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")

    origin = Origin.parse("https://[::1]:9443")
    request = Request("GET", "/n", {"host": origin.host_header})
    with serving(answer) as port:
        dialer = Dialer(proxy=f"http://127.0.0.1:{port}", ca_file=ca_file, connect_timeout=5.0)
        done = exchange_once(dialer, origin, request, timeout=5.0, stop=threading.Event())
    assert done.body == b"ok"
    assert hosts == ["host: [::1]:9443"]


def test_finding_b12_an_ipv6_address_in_an_error_has_its_brackets() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(WireError, match=rf"cannot connect to \[::1\]:{port}: "):
        Dialer(environ={}).open(Origin.parse(f"https://[::1]:{port}"))


@pytest.mark.parametrize(
    ("status", "user", "words"),
    [
        (407, "", "wants a user and a password"),
        (407, "me:sesame@", "does not accept the user and password"),
        (403, "", r"forbids a connection to service\.test:443"),
        (400, "", r"refuses a connection to service\.test:443"),
        (451, "", r"refuses a connection to service\.test:443"),
    ],
)
def test_finding_b14_a_proxy_that_refuses_for_good_is_a_setting_to_correct(
    status: int, user: str, words: str
) -> None:
    asked = []

    def answer(sock: socket.socket, _: bytes) -> None:
        asked.append(status)
        sock.sendall(f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n".encode())

    with serving(answer) as port, Pool(Dialer(proxy=f"http://{user}127.0.0.1:{port}")) as pool:
        with pytest.raises(ConfigError, match=words) as caught:
            exchange(pool, Origin.parse("https://service.test"), GET)
        assert f"127.0.0.1:{port}" in caught.value.message
    assert "sesame" not in str(caught.value)
    assert asked == [status]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_finding_b14_a_proxy_with_a_bad_time_is_a_broken_connection(status: int) -> None:
    def answer(sock: socket.socket, _: bytes) -> None:
        sock.sendall(f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n".encode())

    with serving(answer) as port:
        dialer = Dialer(proxy=f"http://127.0.0.1:{port}")
        with pytest.raises(WireError, match=str(status)):
            dialer.open(Origin.parse("https://service.test"))


def test_finding_b14_a_proxy_of_plain_http_that_wants_a_password_says_so() -> None:
    def answer(sock: socket.socket, _: bytes) -> None:
        sock.sendall(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n")

    origin = Origin.parse("http://localhost:9")
    with serving(answer) as port:
        dialer = Dialer(proxy=f"http://127.0.0.1:{port}")
        with Pool(dialer) as pool, pytest.raises(ConfigError, match="wants a user"):
            exchange(pool, origin, GET)
        with pytest.raises(ConfigError, match="wants a user"):
            exchange_once(dialer, origin, GET, timeout=5.0, stop=threading.Event())


@pytest.mark.parametrize(
    "flood",
    [b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n", b"x: y\r\n"],
)
def test_finding_a04_a_proxy_that_floods_is_given_up_after_some_bytes(flood: bytes) -> None:
    sent = 0

    def answer(sock: socket.socket, _: bytes) -> None:
        nonlocal sent
        if flood.startswith(b"x"):
            sock.sendall(b"HTTP/1.1 200 OK\r\n")
        while sent < 200 * MOST_ANSWER:  # so that a failure of this test has an end
            sent += sock.send(flood * 100)

    with serving(answer) as port:
        dialer = Dialer(proxy=f"http://127.0.0.1:{port}", connect_timeout=60.0)
        with pytest.raises(WireError, match=r"without end|too long"):
            dialer.open(Origin.parse("https://service.test"))
    assert MOST_ANSWER < sent < 200 * MOST_ANSWER


@pytest.mark.slow
@pytest.mark.parametrize("drip", [b"", b"HTTP/1.1 102 Processing\r\n\r\n"])
def test_finding_a04_a_stop_is_heard_while_a_proxy_makes_us_wait(drip: bytes) -> None:
    stop, waiting = threading.Event(), threading.Event()

    def answer(sock: socket.socket, _: bytes) -> None:
        waiting.set()
        until = time.monotonic() + 30
        while time.monotonic() < until:
            sock.sendall(drip)
            time.sleep(0.02)

    def press() -> None:
        waiting.wait(30)
        time.sleep(0.2)
        stop.set()

    presser = threading.Thread(target=press)
    presser.start()
    with serving(answer) as port:
        dialer = Dialer(proxy=f"http://127.0.0.1:{port}", connect_timeout=300.0)
        started = time.monotonic()
        with pytest.raises(Stopped):
            dialer.open(Origin.parse("https://service.test"), stop=stop)
        assert time.monotonic() - started < 10
    presser.join()
    assert waiting.is_set()


def test_finding_a04_a_stop_is_heard_in_a_tls_handshake_that_does_not_end() -> None:
    stop = threading.Event()

    def answer(sock: socket.socket, _: bytes) -> None:
        stop.set()  # the client has said hello

    with serving(answer) as port:
        dialer = Dialer(environ={}, connect_timeout=300.0)
        with pytest.raises(Stopped):
            dialer.open(Origin.parse(f"https://127.0.0.1:{port}"), stop=stop)
