"""Every fault does what it says, and counts."""

import base64
import socket
import time

import crc32c
import pytest

from ocihaul.emulator import Emulator, Fault, UnfiredFaultsError

from .client import Client, read_all

DATA = bytes(range(256)) * 40


def put_by_hand(client: Client, *, expect: bool = False) -> socket.socket:
    sock = client.raw()
    headers = {"expect": "100-continue"} if expect else {}
    sock.sendall(client.head_bytes("PUT", client.path("o", "it"), len(DATA), headers))
    return sock


def test_a_status_instead_of_the_effect(oci: Emulator, client: Client) -> None:
    fault = oci.faults.add(
        Fault(operation="PutObject", status=429, retry_after=7, code="Slow", message="down")
    )
    reply = client.put("it", DATA)
    assert (reply.status, reply.code) == (429, "Slow")
    assert reply.headers["retry-after"] == "7"
    (entry,) = oci.log.entries(operation="PutObject")
    assert (entry.body_received, entry.fault) == (len(DATA), fault.label)
    assert oci.object_names("backups") == []
    assert client.put("it", DATA).status == 200
    oci.faults.assert_all_fired()


def test_after_times_and_part_number(oci: Emulator, client: Client) -> None:
    oci.faults.add(
        Fault(operation="UploadPart", part_number=2, after=1, times=2, status=500, name="second")
    )
    upload = client.create("it")
    pattern = [
        (number, client.part("it", upload, number, b"x").status) for number in (1, 2, 2, 1, 2, 2)
    ]
    assert pattern == [(1, 200), (2, 200), (2, 500), (1, 200), (2, 500), (2, 200)]
    assert oci.log.count(operation="UploadPart", status=500) == 2


def test_tokens_are_revoked_as_a_request_arrives(oci: Emulator, client: Client) -> None:
    fault = oci.faults.add(Fault(operation="UploadPart", after=1, revoke=True))
    upload = client.create("it")
    assert client.part("it", upload, 1, b"x").status == 200
    assert fault.fired == 0
    assert client.part("it", upload, 2, b"x").status == 401
    assert [e.fault for e in oci.log.entries(status=401)] == [fault.label]
    assert client.call("GET", "/n").status == 401
    client.session = oci.login()
    assert client.call("GET", "/n").status == 200
    oci.faults.assert_all_fired()


def test_a_fault_of_one_token(oci: Emulator, client: Client) -> None:
    oci.faults.add(Fault(token=client.session.token, status=401, times=None))
    newer = Client(oci, client.session, key_id=f"ST${oci.issue_token(client.session)}")
    assert [each.call("GET", "/n").status for each in (client, newer, client)] == [401, 200, 401]
    oci.faults.assert_all_fired()


def test_a_request_that_is_refused_does_not_use_up_a_fault(oci: Emulator, client: Client) -> None:
    fault = oci.faults.add(Fault(operation="GetNamespace", status=500))
    oci.revoke_all()
    assert client.call("GET", "/n").status == 401
    assert fault.fired == 0
    with pytest.raises(UnfiredFaultsError, match="GetNamespace-500"):
        oci.faults.assert_all_fired()
    assert oci.faults.unfired() == [fault]


def test_an_early_answer_comes_without_the_body(oci: Emulator, client: Client) -> None:
    oci.faults.add(Fault(operation="PutObject", status=503, early=True))
    with put_by_hand(client, expect=True) as sock:
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 503 ")
    (entry,) = oci.log.entries()
    assert (entry.expected_100, entry.sent_100, entry.body_received) == (True, False, 0)
    oci.faults.assert_all_fired()


def test_an_answer_in_the_middle_of_the_body(oci: Emulator, client: Client) -> None:
    oci.faults.add(Fault(operation="PutObject", status=503, early_at_byte=1000))
    with put_by_hand(client) as sock:
        sock.sendall(DATA[:1000])
        assert read_all(sock).startswith(b"HTTP/1.1 503 ")
    assert oci.log.entries()[0].body_received == 1000
    oci.faults.assert_all_fired()


def test_a_cut_at_a_byte(oci: Emulator, client: Client) -> None:
    oci.faults.add(Fault(operation="PutObject", cut_at_byte=100))
    with put_by_hand(client) as sock:
        sock.sendall(DATA[:2000])
        assert read_all(sock) == b""
    (entry,) = oci.log.entries()
    assert (entry.status, entry.body_received) == (None, 100)
    oci.faults.assert_all_fired()


def test_a_cut_beyond_the_body_does_not_count(oci: Emulator, client: Client) -> None:
    oci.faults.add(Fault(operation="PutObject", cut_at_byte=len(DATA) + 1))
    assert client.put("it", DATA).status == 200
    assert len(oci.faults.unfired()) == 1


def test_a_lost_reply_has_had_its_effect(oci: Emulator, client: Client) -> None:
    oci.faults.add(Fault(operation="PutObject", cut_before_answer=True))
    with pytest.raises(ConnectionError):
        client.put("it", DATA)
    assert oci.read_object("backups", "it") == DATA
    oci.faults.assert_all_fired()


def test_damage_is_seen_before_the_checksum_and_a_refusal_can_be_lost(
    oci: Emulator, client: Client
) -> None:
    right = base64.b64encode(crc32c.crc32c(DATA).to_bytes(4)).decode()
    client.put("it", b"old")
    oci.faults.add(Fault(operation="PutObject", corrupt_at_byte=7, cut_before_answer=True))
    with pytest.raises(ConnectionError):
        client.put("it", DATA, opc_content_crc32c=right)
    oci.faults.assert_all_fired()
    assert oci.read_object("backups", "it") == b"old"
    (entry,) = [each for each in oci.log.entries(operation="PutObject") if each.status is None]
    assert entry.error_code == "UnmatchedContentCRC32C"


def test_a_service_that_does_not_compare_stores_what_came_and_says_its_checksum(
    oci: Emulator, client: Client
) -> None:
    oci.configure(checks_bodies=False)
    right = base64.b64encode(crc32c.crc32c(DATA).to_bytes(4)).decode()
    oci.faults.add(Fault(operation="PutObject", corrupt_at_byte=7))
    headers = {"opc_content_crc32c": right, "opc_checksum_algorithm": "CRC32C"}
    reply = client.put("it", DATA, **headers)
    oci.faults.assert_all_fired()
    assert reply.status == 200
    stored = oci.read_object("backups", "it")
    assert stored != DATA
    told = base64.b64encode(crc32c.crc32c(stored).to_bytes(4)).decode()
    assert reply.headers["opc-content-crc32c"] == told != right


@pytest.mark.parametrize("at_byte", [None, 50])
def test_a_stall(oci: Emulator, client: Client, at_byte: int | None) -> None:
    oci.faults.add(Fault(operation="PutObject", stall_seconds=0.3, stall_at_byte=at_byte))
    began = time.monotonic()
    assert client.put("it", DATA).status == 200
    assert time.monotonic() - began >= 0.3
    oci.faults.assert_all_fired()


def test_a_flipped_bit_shows_in_the_checksums(oci: Emulator, client: Client) -> None:
    honest = client.put("honest", DATA).headers["opc-content-md5"]
    oci.faults.add(Fault(operation="PutObject", object_name="it", corrupt=True))
    assert client.put("it", DATA).headers["opc-content-md5"] != honest
    assert oci.read_object("backups", "it") != DATA
    oci.faults.assert_all_fired()


def test_a_bit_that_turns_over_in_storage_stays_so(oci: Emulator, client: Client) -> None:
    oci.put_object("backups", "it", DATA, part_size=1000)
    oci.faults.add(Fault(operation="GetObject", object_name="it", rot_at_byte=2345))
    spoilt = DATA[:2345] + bytes([DATA[2345] ^ (1 << 2345 % 8)]) + DATA[2346:]
    honest = client.head("it").headers
    first, second = client.get("it"), client.get("it")
    assert first.body == second.body == oci.read_object("backups", "it") == spoilt
    for name in ("etag", "opc-multipart-md5"):
        assert first.headers[name] == honest[name], "the service does not know"
    oci.faults.assert_all_fired()


def test_a_bit_turns_over_after_the_object_was_written(oci: Emulator, client: Client) -> None:
    beyond = oci.faults.add(Fault(object_name="short", rot_at_byte=len(DATA)))
    oci.faults.add(Fault(operation="PutObject", object_name="it", rot_at_byte=0))
    for name in ("it", "short"):
        assert client.put(name, DATA).status == 200
    assert oci.read_object("backups", "it") == bytes([DATA[0] ^ 1]) + DATA[1:]
    assert oci.read_object("backups", "short") == DATA
    assert oci.faults.unfired() == [beyond], "there is no such byte"


def test_a_wrong_checksum_in_the_answer_only(oci: Emulator, client: Client) -> None:
    honest = client.put("it", DATA).headers["opc-content-md5"]
    oci.faults.add(Fault(operation="PutObject", corrupt_answer_checksum=True))
    assert client.put("it", DATA).headers["opc-content-md5"] != honest
    assert client.head("it").headers["content-md5"] == honest
    oci.faults.assert_all_fired()


def test_a_clock_that_is_wrong_once(oci: Emulator, client: Client) -> None:
    oci.faults.add(Fault(operation="GetNamespace", clock_offset=4000.0))
    wrong = client.call("GET", "/n")
    assert wrong.status == 401
    assert client.call("GET", "/n").status == 200
    oci.faults.assert_all_fired()


def test_what_is_not_http(oci: Emulator, client: Client) -> None:
    oci.faults.add(Fault(operation="PutObject", garbage=True))
    with put_by_hand(client) as sock:
        sock.sendall(DATA)
        assert not read_all(sock).startswith(b"HTTP/")
    oci.faults.assert_all_fired()


def test_a_page_of_html(oci: Emulator, client: Client) -> None:
    oci.faults.add(Fault(html=True))
    reply = client.put("it", DATA)
    assert (reply.status, reply.headers["content-type"]) == (502, "text/html")
    oci.faults.assert_all_fired()


def test_downloads_are_cut_stalled_and_spoilt(oci: Emulator, client: Client) -> None:
    oci.put_object("backups", "it", DATA)
    oci.faults.add(
        Fault(operation="GetObject", corrupt=True),
        Fault(operation="GetObject", stall_at_byte=10, stall_seconds=0.2),
        Fault(operation="GetObject", cut_at_byte=100),
    )
    assert client.get("it").body == bytes([DATA[0] ^ 1]) + DATA[1:]
    assert client.get("it").body == DATA
    with client.raw() as sock:
        sock.sendall(client.head_bytes("GET", client.path("o", "it"), 0))
        answer = read_all(sock)
    assert answer.partition(b"\r\n\r\n")[2] == DATA[:100]
    assert client.get("it").body == DATA
    oci.faults.assert_all_fired()
    assert [e.body_sent for e in oci.log.entries(operation="GetObject")] == [
        *(len(DATA), len(DATA), 100, len(DATA))
    ]
