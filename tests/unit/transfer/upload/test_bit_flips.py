"""10,000 flipped bits, each seen: on the way, in the service's answers, in what it stores.

The service here is a few lines: what it is asked to store it stores, with one bit another.
"""

import base64
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocihaul.emulator import Fault
from ocihaul.errors import ChecksumError
from ocihaul.events import Event, PartResent, ignore
from ocihaul.storage.calls import Headers
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import PartSummary
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, MD5, Integrity, SentPart, check_whole
from ocihaul.transfer.plan import ServiceLimits
from ocihaul.transfer.source import Piece
from ocihaul.transfer.upload.part_uploader import PartUploader
from ocihaul.transfer.upload.resume import confirmed_parts
from ocihaul.transport.message import Answer, Body
from tests.functional.test_resume import again, parts_stored
from tests.support import upload_context
from tests.world import MIB, PART, world

FLIPS = 10_000
SIZE = 300


class Bytes:
    """A source that never changes."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read_into(self, view: memoryview, offset: int) -> None:
        view[:] = self.data[offset : offset + len(view)]

    def check_unchanged(self) -> None:
        pass


def flipped(data: bytes, chance: random.Random) -> bytes:
    """The same bytes but for one bit."""
    at = chance.randrange(8 * len(data))
    return bytes(byte ^ (1 << at % 8) * (index == at // 8) for index, byte in enumerate(data))


def value(algorithm: str, data: bytes) -> str:
    running = checksum.start(algorithm)
    running.update(memoryview(data))
    return checksum.encoded(running.digest())


class Service:
    """Keeps the last bytes it was sent. `tells` are the checksums that it computes.

    The first `spoilt` bodies lose a bit on their way; with `lies` the answers do instead.
    """

    def __init__(self, chance: random.Random, tells: tuple[str, ...], *, lies: bool) -> None:
        self.stored = b""
        self.spoilt = 0
        self.fired = 0
        self._chance = chance
        self._tells = tells
        self._lies = lies

    def take(self, body: Body) -> Headers:
        data = b"".join(bytes(block) for block in body.blocks())
        spoil = self.spoilt > 0
        self.spoilt -= spoil
        self.fired += spoil
        self.stored = flipped(data, self._chance) if spoil and not self._lies else data
        answer = {checksum.content_header(each): value(each, self.stored) for each in self._tells}
        if spoil and self._lies:
            name = self._chance.choice(sorted(answer))
            answer[name] = flipped(answer[name].encode(), self._chance).decode("latin-1")
        return {**answer, "etag": "e"}


@pytest.mark.parametrize("tells", [(CRC32C,), (CRC32C, MD5), (MD5,)], ids="-".join)
@pytest.mark.parametrize("lies", [False, True], ids=["in the data", "in the answer"])
def test_each_of_10000_flips_is_seen_and_mended(tells: tuple[str, ...], lies: bool) -> None:
    chance = random.Random(4)  # noqa: S311  which bits
    seen: list[PartResent] = []

    def listen(event: Event) -> None:
        if isinstance(event, PartResent):
            seen.append(event)

    # What the service tells and we do not compute is not looked at: it decides nothing.
    integrity = Integrity(declared=None, want_md5=len(tells) == 2, listener=ignore)
    context = upload_context(integrity, listener=listen)
    service = Service(chance, tells, lies=lies)
    buffer = memoryview(bytearray(SIZE))

    def send(*, number: int, body: Body) -> Answer:
        answer = service.take(body)
        body.sent(body.length)
        return Answer(200, answer, b"", body.length)

    parts: dict[int, SentPart] = {}
    uploader = PartUploader(context, send, record=parts.__setitem__)

    while service.fired < FLIPS:
        data = chance.randbytes(chance.randint(1, SIZE))
        service.spoilt = chance.choice((1, 1, 1, 2))
        piece = Piece(1, Bytes(data), 0, len(data))
        uploader.upload(piece, buffer=buffer)
        part = parts[1]
        assert service.stored == data, "what counts as sent is what is stored"
        assert part.digests[CRC32C] == base64.b64decode(value(CRC32C, data))
    assert len(seen) == service.fired >= FLIPS, "no more and no fewer than there were"


@pytest.mark.parametrize("told", [CRC32C, MD5])
def test_each_flip_in_what_is_stored_is_seen_at_the_commit(told: str) -> None:
    """A part that was right when it came, and is another when the object is made of it."""
    chance = random.Random(5)  # noqa: S311  which bits
    integrity = Integrity(declared=None, want_md5=True, listener=ignore)
    parts = [chance.randbytes(chance.randint(1, SIZE)) for _ in range(5)]
    sent = [SentPart(len(data), "e", digests(data)) for data in parts]
    expected = integrity.whole_headers(sent)
    assert check_whole(expected, whole(parts, told), "x")
    unseen = 0
    for _ in range(FLIPS):
        which = chance.randrange(len(parts))
        stored = [*parts[:which], flipped(parts[which], chance), *parts[which + 1 :]]
        try:
            check_whole(expected, whole(stored, told), "x")
        except ChecksumError:
            continue
        unseen += 1
    assert unseen == 0


def digests(data: bytes) -> dict[str, bytes]:
    return {name: base64.b64decode(value(name, data)) for name in (CRC32C, MD5)}


def whole(parts: list[bytes], told: str) -> Mapping[str, str]:
    """What the service says of the object that it has."""
    if told == CRC32C:
        return {checksum.multipart_header(CRC32C): value(CRC32C, b"".join(parts))}
    each = ((digests(data)[MD5], len(data)) for data in parts)
    return {checksum.multipart_header(MD5): checksum.whole(MD5, each)}


def test_each_flip_in_an_etag_keeps_its_part_from_being_taken_for_finished() -> None:
    chance = random.Random(7)  # noqa: S311  which bits
    for _ in range(FLIPS):
        etag = chance.randbytes(16).hex()
        part = SentPart(10, etag, {CRC32C: b"abcd"})
        spoilt = flipped(etag.encode(), chance).decode("latin-1")
        listed = [PartSummary(number=1, etag=spoilt, md5=None, size=10)]
        assert confirmed_parts({1: part}, listed) == {}
    listed = [PartSummary(number=1, etag=etag, md5=None, size=10)]
    assert confirmed_parts({1: part}, listed) == {1: part}


def test_a_flip_in_the_answers_etag_is_refused_at_the_commit_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = StorageClient.upload_part

    def spoiling(self: StorageClient, *args: Any, number: int, **named: Any) -> Answer:
        answer = real(self, *args, number=number, **named)
        etag = answer.headers["etag"]
        spoilt = etag[:-1] + chr(ord(etag[-1]) ^ 1)
        return replace(answer, headers={**answer.headers, "etag": spoilt if number == 2 else etag})

    with world(tmp_path) as w:
        source = w.file(3 * PART)
        with monkeypatch.context() as patched:
            patched.setattr(StorageClient, "upload_part", spoiling)
            again(w, source)
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 3], "its MD5 is the file's"
        commits = w.oci.log.entries(operation="CommitMultipartUpload")
        assert [entry.status for entry in commits] == [400, 200]


@pytest.mark.parametrize("verify", [False, True])
def test_flips_on_a_real_wire_are_seen_and_mended(tmp_path: Path, verify: bool) -> None:
    limits = ServiceLimits(smallest_part=1)
    chance = random.Random(6)  # noqa: S311  which bits
    part, count = MIB, 24
    with world(tmp_path) as w:
        for number in range(1, count + 1):
            w.oci.faults.add(
                Fault(
                    operation="UploadPart",
                    part_number=number,
                    corrupt_at_byte=chance.randrange(part),
                    times=1 + number % 2,
                )
            )
        source = w.file(part * count)
        w.upload(source, part_size=part, verify_checksum=verify, limits=limits)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)
        assert len(w.heard.of(PartResent)) == count * 3 // 2
