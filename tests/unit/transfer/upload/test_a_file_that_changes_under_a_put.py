"""A single PutObject stores the file as it was at one moment, or nothing."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ocihaul.errors import SourceChangedError
from ocihaul.events import BytesSent, Event
from ocihaul.transfer.upload.upload import upload
from tests.world import MIB, world


def once_sent(count: int, act: Callable[[], None]) -> Callable[[Event], None]:
    """A listener that acts when so many bytes have gone out."""
    left = [count]

    def listener(event: Event) -> None:
        if isinstance(event, BytesSent) and left[0] > 0:
            left[0] -= event.count
            if left[0] <= 0:
                act()

    return listener


@pytest.mark.parametrize("size", [2 * MIB, 2 * MIB + 1])
def test_a_change_before_the_last_byte_stores_nothing(tmp_path: Path, size: int) -> None:
    with world(tmp_path) as w, w.storage() as storage:
        source = w.file(size)
        w.oci.put_object("backups", source.name, b"the one of yesterday")
        before = w.oci.object_digest("backups", source.name)
        touch = once_sent(1, lambda: os.utime(source, (1, 1)))
        with pytest.raises(SourceChangedError, match="Nothing was stored") as caught:
            upload(storage, w.request(source), listener=touch, stop=w.stop)
        assert caught.value.stored is None
        assert w.oci.object_digest("backups", source.name) == before


def test_a_change_after_the_last_byte_is_told_and_so_is_what_was_stored(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.storage() as storage:
        source = w.file(2 * MIB)
        touch = once_sent(2 * MIB, lambda: os.utime(source, (1, 1)))
        with pytest.raises(SourceChangedError, match="has changed") as caught:
            upload(storage, w.request(source), listener=touch, stop=w.stop)
        assert "Nothing was stored" not in str(caught.value)
        assert "is older" in str(caught.value)
        there = storage.head_object("ns1", "backups", source.name)
        assert caught.value.stored == there.etag
        assert w.arrived_whole(source)
