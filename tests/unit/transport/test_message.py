"""What the kernel tells of bytes that were sent, where it does."""

import socket
import sys

import pytest

from ocihaul.transport.message import acknowledged, unacknowledged
from tests.support import joined

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@LINUX
def test_acknowledged_bytes_are_counted_and_a_peer_that_answers_is_not_silent() -> None:
    with joined() as (ours, theirs):
        before = acknowledged(ours)
        ours.sendall(b"x" * 50_000)
        assert len(theirs.recv(50_000, socket.MSG_WAITALL)) == 50_000
        while unacknowledged(ours):
            pass
        now = acknowledged(ours)
    assert before is not None
    assert now is not None
    assert now.count - before.count == 50_000
    assert now.silent == 0.0


def test_what_is_no_tcp_tells_nothing() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert acknowledged(ours) is None
