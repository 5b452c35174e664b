"""The threads that send parts, and those that do not come back."""

import threading
import time
from collections import deque
from pathlib import Path

import pytest

from ocihaul.errors import TransferCancelled
from ocihaul.events import ignore
from ocihaul.transfer.checksum import Integrity
from ocihaul.transfer.source import FileSource, Piece
from ocihaul.transfer.upload.part_uploader import PartUploader
from ocihaul.transport.message import Answer, Body
from tests.support import upload_context


def test_threads_that_cannot_hear_a_stop_are_left_behind(tmp_path: Path) -> None:
    """As in getaddrinfo, which no event interrupts."""
    (tmp_path / "x").write_bytes(bytes(40))
    stop, resolved, stuck = threading.Event(), threading.Event(), threading.Semaphore(0)

    def upload_part(*, number: int, body: Body) -> Answer:
        stuck.release()
        resolved.wait()
        raise TransferCancelled("at last")

    with FileSource(tmp_path / "x") as source:
        integrity = Integrity(declared=None, want_md5=False, listener=ignore)
        pieces = deque(Piece(number, source, 10 * number - 10, 10) for number in range(1, 5))
        context = upload_context(integrity, stop=stop)
        uploader = PartUploader(context, upload_part, record=lambda *_: None)

        def stop_when_all_are_stuck() -> None:
            for _ in range(4):
                stuck.acquire()
            stop.set()

        threading.Thread(target=stop_when_all_are_stuck).start()
        started = time.monotonic()
        # Whoever waits for ever is let go in the end, with an error of another name.
        release = threading.Timer(5.0, resolved.set)
        release.start()
        with pytest.raises(TransferCancelled, match="connection was being opened"):
            uploader.run(pieces.popleft, parallel=4)
        assert time.monotonic() - started < 4.0
        release.cancel()
        resolved.set()
