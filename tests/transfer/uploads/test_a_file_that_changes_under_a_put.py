"""A single PutObject is there before its source can be looked at again: say so."""

import os
from pathlib import Path

import pytest

from ocihaul.errors import SourceError
from ocihaul.events import BytesSent, Event
from ocihaul.transfer.uploads.upload import upload
from tests.world import MIB, world


def test_a_change_under_a_single_put_does_not_claim_that_nothing_was_stored(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as w, w.storage() as storage:
        source = w.file(2 * MIB)

        def touch(event: Event) -> None:
            if isinstance(event, BytesSent):
                os.utime(source, (1, 1))

        with pytest.raises(SourceError, match="has changed") as caught:
            upload(storage, w.request(source), listener=touch, stop=w.stop)
        assert w.oci.log.count(operation="PutObject") == 1
        assert "Nothing was stored" not in str(caught.value)
        assert "was stored" in str(caught.value)
