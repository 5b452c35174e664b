"""What holds only when session and connections are put together."""

from pathlib import Path

import pytest

from ocihaul.errors import SessionExpiredError
from ocihaul.events import SessionPaused
from tests.world import world


@pytest.mark.slow
def test_a_parked_session_keeps_no_connection_open(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.storage(session_wait="1s") as storage:
        lines = storage._client._pool._shared.lines
        storage.get_namespace()
        assert any(line.idle for line in lines.values()), "there is one to be closed"
        w.oci.revoke_all(refreshable=False)
        with pytest.raises(SessionExpiredError):
            storage.get_namespace()
        assert w.heard.of(SessionPaused)
        assert not any(line.idle for line in lines.values())
