"""Answers that come before the body has gone out, connections that break, servers that are late.

Each case runs over plain TCP and over TLS: TLS is where plain clients lose the answer.
"""

from pathlib import Path

import pytest

from ocihaul.emulator import Fault
from ocihaul.errors import NetworkError, ServiceError
from ocihaul.events import PartResent, RetryScheduled
from tests.world import MIB, PART, world

TLS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@TLS
@pytest.mark.parametrize("ignore_expect", [False, True], ids=["expect", "no-expect"])
@pytest.mark.parametrize("status", [403, 412])
def test_an_early_refusal_is_heard_and_final(
    tmp_path: Path, tls: bool, ignore_expect: bool, status: int
) -> None:
    with world(tmp_path, tls=tls, ignore_expect=ignore_expect) as w:
        w.oci.faults.add(
            Fault(operation="PutObject", status=status, code="No", early=True, close=True)
        )
        with pytest.raises(ServiceError) as caught:
            w.upload(w.file(100 * MIB), multipart=False)
        assert (caught.value.status, caught.value.code) == (status, "No")
        assert caught.value.opc_request_id
        w.oci.faults.assert_all_fired()
        assert len(w.attempts("PutObject")) == 1


@TLS
def test_an_early_401_costs_no_byte_of_the_body(tmp_path: Path, tls: bool) -> None:
    with world(tmp_path, tls=tls) as w:
        w.oci.faults.add(Fault(operation="UploadPart", status=401, early=True, close=True, times=5))
        source = w.file(5 * PART)
        result = w.upload(source, part_size=PART)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)
        assert result.bytes_resent == 0
        assert w.part_bytes_received() == 5 * PART
        rejected = {a.generation for a in w.attempts("UploadPart") if a.status == 401}
        assert w.refreshes() == len(rejected), "one renewal for each generation that was rejected"


@TLS
@pytest.mark.parametrize("at_byte", [1, 3 * MIB, PART - 1])
def test_a_401_in_mid_body_is_not_lost_to_the_close_that_follows(
    tmp_path: Path, tls: bool, at_byte: int
) -> None:
    with world(tmp_path, tls=tls) as w:
        w.oci.faults.add(
            Fault(operation="UploadPart", status=401, early_at_byte=at_byte, close=True)
        )
        source = w.file(2 * PART)
        w.upload(source)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)
        assert [a.status for a in w.attempts("UploadPart")].count(401) == 1, "the 401 was heard"
        assert w.refreshes() == 1
        # OpenSSL tells what it took only once it took a whole block: below that, 0 is honest.
        assert len(w.heard.of(PartResent)) == 1 or (tls and at_byte == 1)


@TLS
def test_early_503s_are_retried_without_sending_the_body(tmp_path: Path, tls: bool) -> None:
    with world(tmp_path, tls=tls) as w:
        w.oci.faults.add(Fault(operation="UploadPart", status=503, early=True, times=2))
        source = w.file(2 * PART)
        result = w.upload(source)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)
        assert result.bytes_resent == 0
        assert len(w.heard.of(RetryScheduled)) == 2


@pytest.mark.slow
@TLS
def test_a_late_100_is_waited_for_only_so_long(tmp_path: Path, tls: bool) -> None:
    with world(tmp_path, tls=tls, continue_delay=2.5) as w:
        source = w.file(2 * MIB)
        w.upload(source)
        assert w.arrived_whole(source)
        assert [a.status for a in w.attempts("PutObject")] == [200]


@pytest.mark.slow
def test_a_server_that_ignores_expect_still_gets_the_body(tmp_path: Path) -> None:
    with world(tmp_path, ignore_expect=True) as w:
        source = w.file(2 * PART)
        w.upload(source)
        assert w.arrived_whole(source)
        (entry, _) = w.oci.log.entries(operation="UploadPart")
        assert entry.expected_100
        assert not entry.sent_100


def test_small_bodies_do_not_ask_first(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.upload(w.file(MIB))
        assert not w.oci.log.entries(operation="PutObject")[0].expected_100


@TLS
def test_a_break_inside_a_body_asks_the_session_before_the_part_goes_out_again(
    tmp_path: Path, tls: bool
) -> None:
    with world(tmp_path, tls=tls) as w:
        w.oci.faults.add(Fault(operation="UploadPart", cut_at_byte=3 * MIB))
        source = w.file(2 * PART)
        w.upload(source)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)
        assert [a.status for a in w.attempts("GetNamespace")] == [200]
        assert w.refreshes() == 0


@pytest.mark.slow
def test_a_break_that_hides_a_401_renews_before_the_part_goes_out_again(tmp_path: Path) -> None:
    """The worst case: the token dies under way, the 401 is lost, and Expect is ignored."""
    with world(tmp_path, ignore_expect=True) as w:
        w.oci.faults.add(
            Fault(operation="UploadPart", part_number=2, cut_at_byte=3 * MIB),
            Fault(operation="GetNamespace", status=401),
        )
        source = w.file(2 * PART)
        result = w.upload(source)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)
        assert w.refreshes() == 1
        assert 0 < result.bytes_resent <= PART, "only the broken part went out again, once"


@TLS
def test_an_idle_connection_that_the_server_closed_is_replaced_at_once(
    tmp_path: Path, tls: bool
) -> None:
    with world(tmp_path, tls=tls, idle_timeout=0.2) as w, w.storage() as storage:
        storage.get_namespace()
        w.stop.wait(0.5)
        storage.get_namespace()
        assert not w.heard.of(RetryScheduled)
        assert len({entry.connection for entry in w.oci.log.entries()}) == 2


def test_a_connection_is_used_again(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.storage() as storage:
        for _ in range(5):
            storage.get_namespace()
        assert len({entry.connection for entry in w.oci.log.entries()}) == 1


@pytest.mark.parametrize("fault", [{"garbage": True}, {"cut_before_answer": True}])
def test_no_answer_is_a_network_error_that_names_operation_and_host(
    tmp_path: Path, fault: dict[str, bool]
) -> None:
    with world(tmp_path) as w, w.storage(max_retries=1) as storage:
        w.oci.faults.add(Fault(operation="GetNamespace", **fault))  # type: ignore[arg-type]  # by name
        with pytest.raises(NetworkError, match="GetNamespace") as caught:
            storage.get_namespace()
        assert w.oci.host_port in str(caught.value)
        w.oci.faults.assert_all_fired()


def test_a_proxys_page_is_named_as_such(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.storage(max_retries=1) as storage:
        w.oci.faults.add(Fault(operation="GetNamespace", html=True))
        with pytest.raises(ServiceError, match="proxy"):
            storage.get_namespace()
        w.oci.faults.assert_all_fired()


def test_a_server_that_stalls_is_given_up_after_the_read_timeout(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.storage(max_retries=1, read_timeout=1.0) as storage:
        w.oci.faults.add(Fault(operation="GetNamespace", stall_seconds=20))
        with pytest.raises(NetworkError, match="more than 1 s"):
            storage.get_namespace()
