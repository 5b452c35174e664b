"""A reply is lost and the token with it: what was stored is recognised."""

from pathlib import Path

from ocihaul.emulator import Fault
from ocihaul.transfer.upload.request import IfExists
from tests.world import MIB, world


def test_a_put_whose_reply_was_lost_while_its_token_died_is_settled(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(
            Fault(operation="PutObject", cut_before_answer=True),
            Fault(operation="GetNamespace", status=401),
        )
        source = w.file(2 * MIB)
        result = w.upload(source, existing=IfExists.KEEP)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)
        assert w.refreshes() == 1
        assert [a.status for a in w.attempts("PutObject")] == [None, 412]
        assert result.bytes_resent == 0
