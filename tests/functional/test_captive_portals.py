"""Something on the way that answers everything with a page of its own, and 200."""

import contextlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ocihaul.directories.compare import SyncMode
from ocihaul.directories.request import DirectoryUpload
from ocihaul.directories.results import UPLOADED, Results
from ocihaul.directories.run import DirectoryContext
from ocihaul.directories.upload import upload_all
from ocihaul.emulator import Fault
from ocihaul.errors import NetworkError, UploadIncompleteError
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.upload.request import IfExists
from ocihaul.transfer.upload.upload import upload
from ocihaul.transport.connection import Connection
from ocihaul.transport.message import Answer, Request
from tests.world import MIB, PART, World, world

PAGE = b"<html>Welcome! Please accept our terms.</html>"


class Portal(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    status = 200

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name
        pass

    def do_GET(self) -> None:
        left = int(self.headers.get("content-length", "0"))
        if left > MIB:
            self.send_response_only(100)
            self.end_headers()
        while left:
            left -= len(self.rfile.read(min(left, MIB)))
        self.send_response(self.status)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(PAGE)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(PAGE)

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815  their names


@contextmanager
def portal() -> Iterator[dict[str, object]]:
    """The flags that lead there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Portal)
    thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
    thread.start()
    try:
        yield {"endpoint": f"http://127.0.0.1:{server.server_port}", "max_retries": 1}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.mark.parametrize("size", [0, 1, 2 * MIB, 2 * PART])
@pytest.mark.parametrize("kind", ["file", "stream"])
@pytest.mark.parametrize("existing", [IfExists.REPLACE, IfExists.KEEP])
def test_nothing_was_stored_there_or_is_there_already(
    w: World, size: int, kind: str, existing: IfExists
) -> None:
    source = w.file(size)
    stream = io.BytesIO(source.read_bytes()) if kind == "stream" else None
    with portal() as flags, pytest.raises(NetworkError, match="not the service's"):
        w.upload(source, flags=flags, stream=stream, existing=existing, expected_size=size)


@pytest.mark.parametrize("status", [302, 304, 307])
def test_nothing_is_to_be_had_elsewhere(
    w: World, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """A page that leads to the one for logging in, and passes: later, all this goes on."""
    monkeypatch.setattr(Portal, "status", status)
    with portal() as flags, pytest.raises(NetworkError, match=rf"not the service's \({status}"):
        w.upload(w.file(2 * MIB), flags=flags)


@pytest.mark.parametrize("size", [1, 2 * MIB])
@pytest.mark.parametrize("mode", list(SyncMode))
def test_no_tree_went_there(w: World, mode: SyncMode, size: int) -> None:
    (w.home / "src").mkdir()
    source = w.file(size, "src/log")
    request = DirectoryUpload(root=str(source.parent), each=w.request(source), mode=mode)
    with portal() as flags, w.storage(**flags) as storage, Results() as results:
        work = DirectoryContext(storage, results, w.heard, w.stop, directory=w.home / "state")
        with contextlib.suppress(NetworkError):
            upload_all(request, work)
        assert not results.count(UPLOADED)


def test_nothing_came_from_there(w: World) -> None:
    with portal() as flags, pytest.raises(NetworkError, match="not the service's"):
        w.fetch("backup.tar", w.home / "back", flags=flags)
    assert not (w.home / "back").exists()


def test_nothing_was_deleted_there(w: World) -> None:
    with (
        portal() as flags,
        w.storage(**flags) as storage,
        pytest.raises(NetworkError, match="not the service's"),
    ):
        storage.delete_object("ns1", "backups", "backup.tar")


def test_a_commit_that_the_portal_has_answered_is_made_again(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The portal comes at the last moment, and goes after some answers."""
    source = w.file(2 * PART)
    really, pages = Connection.exchange, 0

    def exchange(connection: Connection, request: Request) -> Answer:
        nonlocal pages
        if (request.method, pages) in {("POST", 1), ("POST", 2), ("HEAD", 3)}:
            pages += 1
            return Answer(200, {"content-type": "text/html"}, PAGE, 0)
        pages += request.method == "POST" and not pages  # that was the creation
        return really(connection, request)

    monkeypatch.setattr(Connection, "exchange", exchange)
    w.upload(source)
    assert pages == 3
    assert w.oci.log.count(operation="CommitMultipartUpload") == 1
    assert w.arrived_whole(source)


def test_parts_are_not_forgotten_because_another_says_404(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = w.file(4 * PART)
    request = w.request(source, parallel=1)
    w.oci.faults.add(Fault(operation="UploadPart", part_number=4, status=403, code="NotNow"))
    really = Connection.exchange

    def exchange(connection: Connection, request: Request) -> Answer:
        if request.method == "GET" and "/u/" in request.target:
            return Answer(404, {"content-type": "text/html"}, PAGE, 0)
        return really(connection, request)

    with w.storage() as storage, Journal(w.home / "state") as journal:
        with pytest.raises(UploadIncompleteError):
            upload(storage, request, journal=journal)
        with monkeypatch.context() as patched:
            patched.setattr(Connection, "exchange", exchange)
            with pytest.raises(NetworkError, match="not the service's"):
                upload(storage, request, journal=journal)
        upload(storage, request, journal=journal)
    assert w.arrived_whole(source)
    assert w.oci.log.count(operation="CreateMultipartUpload") == 1
    assert w.oci.log.count(operation="UploadPart", status=200) == 4
