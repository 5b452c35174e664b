"""Text of a service that is not friendly, and secrets in the wrong place, seen on the terminal."""

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support import is_gone
from tests.world import World, world

ACTIVE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
FORGED = "2026-11-27 00:00:00+00:00 uploaded o: FAKE"
HOSTILE = f"\x1b]0;pwn\x07 hi\n{FORGED}\x9b2J\u202e"


@pytest.fixture
def oci(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@contextmanager
def echoing(how: str) -> Iterator[tuple[str, list[str]]]:
    """A service that answers each request with an error that has what it was sent in it."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            heard.append(headers.get("opc-sse-customer-key", ""))
            echo = json.dumps(headers)
            texts = {
                "json": echo,
                "twice": json.dumps(json.dumps(headers)),
                "slashes": echo.replace("/", "\\/"),
                "key": f"bad key {headers.get('opc-sse-customer-key')}",
                "base64": base64.b64encode(echo.encode()).decode(),
                "hostile": HOSTILE,
            }
            body = json.dumps({"code": "InvalidParameter", "message": texts[how]}).encode()
            self.send_response(400)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.send_header("opc-request-id", headers.get("opc-sse-customer-key", "none"))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = answer  # noqa: N815  their names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("debug", [(), ("--debug",)])
@pytest.mark.parametrize("how", ["json", "twice", "slashes", "key", "base64"])
def test_finding_a09_no_echo_brings_a_secret_to_light(
    oci: World, tmp_path: Path, how: str, debug: tuple[str, ...]
) -> None:
    key = base64.b64encode(b"\xfb\xff/k" * 8).decode()  # with + and / in it
    (tmp_path / "key").write_text(key)
    source = oci.file(5000)
    with echoing(how) as (endpoint, heard):
        ran = oci.run(
            *("os", "object", "put", "-ns", "ns1", "-bn", "backups", "--file", str(source)),
            *("--force", "--encryption-key-file", str(tmp_path / "key")),
            *("--endpoint", endpoint, "--auth", "security_token", *debug),
        )
    assert key in heard  # the echo had it
    assert ran.code == 1
    said = ran.out + ran.err
    assert "InvalidParameter" in said
    token = oci.token_file.read_text().strip()
    plain = said.replace("\\", "")
    assert not re.search(r"signature=\W*[A-Za-z0-9]{9}", plain.replace("[redacted]", ""))
    for secret in (key, token, token.split(".")[1]):
        assert secret not in plain
        inner = base64.b64encode(secret.encode()).decode().rstrip("=")[:-2]
        assert inner not in said


def test_finding_a07_the_error_of_a_service_is_one_line(oci: World) -> None:
    with echoing("hostile") as (endpoint, heard):
        ran = oci.run(
            *("os", "object", "head", "-ns", "ns1", "-bn", "b", "--name", HOSTILE[:20]),
            *("--endpoint", endpoint, "--auth", "security_token"),
        )
        again = oci.run(
            *("os", "object", "list", "-ns", "ns1", "-bn", "b"),
            *("--endpoint", endpoint, "--auth", "security_token"),
        )
    assert len(heard) == 2
    for each in (ran, again):
        assert each.code == 1
        assert not ACTIVE.search(each.out + each.err)
        assert FORGED not in each.err.split("\n")
    assert "pwn" in again.err


def test_finding_a07_a_profile_name_is_one_line_in_the_keepers_log(oci: World) -> None:
    ran = oci.run("session", "keep", "--once", "--profile", HOSTILE)
    assert ran.code != 0
    assert not ACTIVE.search(ran.out + ran.err)
    assert FORGED not in ran.err.split("\n")


@pytest.mark.parametrize(
    ("options", "secret"),
    [
        (("--proxy", "http://u:PASSWORD99"), "PASSWORD99"),
        (("--proxy", "u:PASSWORD99"), "PASSWORD99"),
        (("--proxy", "http://u:PASS/WORD99@h:1"), "WORD99"),
        (("--proxy", "socks5://u:PASSWORD99@h:1"), "PASSWORD99"),
        (("--proxy", "socks5h://u:PASSWORD99"), "PASSWORD99"),
        (("--endpoint", "http://u:PASSWORD99"), "PASSWORD99"),
        (("--encryption-key-file", base64.b64encode(b"k" * 32).decode()), "a2tra2tr"),
        (("--encryption-key-file", base64.b64encode(b"\xff" * 32).decode()), "/////"),
        (("--config-file", base64.b64encode(b"k" * 32).decode()), "a2tra2tr"),
        (("--profile", base64.b64encode(b"k" * 32).decode()), "a2tra2tr"),
        ((f"--profile={base64.b64encode(b'k' * 32).decode()}",), "a2tra2tr"),
        (("--profile", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"), "eyJ"),
        (("--cert-bundle", "ST$eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"), "eyJ"),
        (
            ("--config-file", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"),
            "c2VjcmV0",
        ),
        (("--if-match", "x", "--region", base64.b64encode(b"k" * 32).decode()), "a2tra2tr"),
    ],
)
def test_finding_a19_a_secret_in_the_wrong_place_is_not_repeated(
    oci: World, options: tuple[str, ...], secret: str
) -> None:
    source = oci.file(10)
    ran = oci.run(
        *("os", "object", "put", "-ns", "ns1", "-bn", "backups", "--file", str(source)),
        *("--auth", "security_token", "--no-retry", *options),
    )
    assert ran.code != 0
    assert ran.err
    assert secret not in ran.out + ran.err


def test_finding_b19_the_hint_about_a_proxy_is_whole(oci: World) -> None:
    for proxy, named in (("socks5://h:1080", "socks5 proxies"), ("http://u:pa/ss@h:1", "http://")):
        ran = oci.run("os", "ns", "get", "--auth", "security_token", "--proxy", proxy)
        assert ran.code != 0
        assert named in ran.err
        assert "http://HOST:PORT or http://USER:PASSWORD@HOST:PORT" in ran.err
        assert "]@" not in ran.err


@pytest.mark.slow
def test_finding_b15_sigterm_is_heard_while_a_hook_floods(oci: World, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    oci.oci.revoke_all()
    hook = f"echo $$ > {begun}; yes >&2"
    process = oci.start(
        *("os", "object", "list", "-ns", "ns1", "-bn", "backups", "--auth", "security_token"),
        *("--session-wait", "5m", "--on-park", hook),
    )
    while not begun.exists() or not begun.read_text().strip():
        assert process.poll() is None
        time.sleep(0.05)
    group = int(begun.read_text())
    time.sleep(1)  # so that there is a flood
    asked = time.monotonic()
    process.terminate()
    ran = oci.finish(process)
    assert time.monotonic() - asked < 20
    assert ran.code == 130
    assert len(ran.err) < 20_000
    assert is_gone(group)
