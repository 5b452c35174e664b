"""`--notify`: apprise and healthchecks, against a loopback server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.world import MIB, World, world


class Heard(ThreadingHTTPServer):
    """A server that keeps what it hears: paths and bodies."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.status = 200
        self.came = threading.Condition()
        super().__init__(("127.0.0.1", 0), _Handler)

    def wait_for(self, text: str) -> str:
        """The first body with `text`."""
        with self.came:
            assert self.came.wait_for(lambda: any(text in body for _, body in self.requests), 60)
            return next(body for _, body in self.requests if text in body)


class _Handler(BaseHTTPRequestHandler):
    server: Heard

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
        with self.server.came:
            self.server.requests.append((self.path, body))
            self.server.came.notify_all()
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def heard() -> Iterator[Heard]:
    server = Heard()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def put(w: World, source: Path, *args: str) -> list[str]:
    return [word for word in w.put(source, *args) if word != "--debug"]


def urls(server: Heard) -> str:
    host = f"127.0.0.1:{server.server_port}"
    return f"json://{host}/chat/secret-of-chat healthchecks+http://{host}/ping/secret-of-ping"


def test_finding_d13_the_end_is_told_and_pinged(tmp_path: Path, heard: Heard) -> None:
    with world(tmp_path) as w:
        w.hidden |= {"secret-of-chat", "secret-of-ping"}
        ran = w.run(*put(w, w.file(1000)), OCIHAUL_NOTIFY=urls(heard))
        assert ran.code == 0, ran.err
        paths = [path for path, _ in heard.requests]
        assert paths == [
            "/ping/secret-of-ping/start",
            "/ping/secret-of-ping",
            "/chat/secret-of-chat",
        ]
        told = json.loads(heard.requests[-1][1])
        assert told["title"] == "ocihaul put backups/backup.tar: done"
        assert told["message"].startswith("RESULT done, 1000 bytes")
        assert told["type"] == "success"


def test_a_failure_is_told_with_its_reason(tmp_path: Path, heard: Heard) -> None:
    with world(tmp_path) as w:
        ran = w.run(*w.get("no-such", tmp_path / "out", "--notify", urls(heard)))
        assert ran.code == 1
        assert [path for path, _ in heard.requests][1] == "/ping/secret-of-ping/fail"
        told = json.loads(heard.requests[-1][1])
        assert told["title"] == "ocihaul get backups/no-such: failed"
        assert "There is no such object" in told["message"] or "404" in told["message"]
        assert told["type"] == "failure"
        assert ran.err.endswith("}\n")


@pytest.mark.slow
def test_a_wait_for_a_login_is_told_once(tmp_path: Path, heard: Heard) -> None:
    with world(tmp_path) as w:
        source = w.file(MIB)
        w.oci.revoke_all()
        running = w.start(*put(w, source, "--notify", urls(heard), "--session-wait", "5m"))
        told = json.loads(heard.wait_for("waits for a login"))
        assert "ocihaul session login --profile-name DEFAULT" in told["message"]
        assert told["type"] == "warning"
        w.log_in()
        ran = w.finish(running)
        assert ran.code == 0, ran.err
        assert len([body for _, body in heard.requests if "waits for a login" in body]) == 1
        heard.wait_for("backup.tar: done")


@pytest.mark.slow
def test_what_cannot_be_told_changes_no_exit_status(tmp_path: Path, heard: Heard) -> None:
    heard.status = 500
    with world(tmp_path) as w:
        w.hidden |= {"secret-of-chat", "secret-of-ping"}
        ran = w.run(*put(w, w.file(1000)), OCIHAUL_NOTIFY=urls(heard))
        assert ran.code == 0, ran.err
        assert "--notify: not every message could be sent" in ran.err
        assert "--notify: the ping of 127.0.0.1 failed" in ran.err
        assert "Traceback" not in ran.err


@pytest.mark.slow
def test_a_url_that_nothing_knows_is_an_error_before_anything_is_sent(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.hidden |= {"secret-of-chat"}
        ran = w.run(*put(w, w.file(1000), "--notify", "nothing://secret-of-chat/x"))
        assert ran.code == 2
        assert "no form that apprise knows" in ran.err
        assert w.oci.log.count(operation="PutObject") == 0
