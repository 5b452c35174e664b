"""Files of a tree that are written while they are sent."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.directories.compare import SyncMode
from ocihaul.directories.request import DirectoryUpload
from ocihaul.directories.results import FAILED, SKIPPED, UPLOADED, Results
from ocihaul.directories.run import DirectoryContext
from ocihaul.directories.upload import upload_all
from ocihaul.events import BytesSent, Event
from tests.world import MIB, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("mode", "replaces"), [(SyncMode.KEEP, False), (SyncMode.SYNC, False), (SyncMode.SYNC, True)]
)
@pytest.mark.parametrize("at", [1, 3 * MIB])
def test_a_file_that_changes_under_its_put_is_sent_as_it_is_now(
    w: World, mode: SyncMode, replaces: bool, at: int
) -> None:
    (w.home / "src").mkdir()
    source = w.file(3 * MIB, "src/log")
    if replaces:
        w.oci.put_object("backups", "log", b"of another size")
    sent = 0

    def write(event: Event) -> None:
        nonlocal sent
        if isinstance(event, BytesSent) and sent < at:
            sent += event.count
            if sent >= at:
                source.write_bytes(b"new" + source.read_bytes()[3:])

    request = DirectoryUpload(root=str(source.parent), each=w.request(source), mode=mode)
    with w.storage() as storage, Results() as results:
        work = DirectoryContext(storage, results, write, w.stop, directory=w.home / "state")
        upload_all(request, work)
        assert [list(results.items(kind)) for kind in (FAILED, SKIPPED)] == [[], []]
        assert [name for name, _ in results.items(UPLOADED)] == ["log"]
    assert sent >= at
    assert w.arrived_whole(source, "log")
