"""Answers that are not what was asked for: each is asked for again, and none gets into the file."""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ocihaul.emulator.call import Wire
from ocihaul.emulator.connection_handler import ConnectionHandler
from ocihaul.emulator.responses import Answer
from ocihaul.errors import (
    ChecksumError,
    NetworkError,
    ObjectChangedError,
    OcihaulError,
    ServiceError,
)
from tests.functional.directories import run
from tests.world import MIB, World, world

Change = Callable[[Answer], None]


def stream(answer: Answer) -> Iterator[bytes]:
    assert answer.stream is not None
    return answer.stream


def longer(answer: Answer) -> None:
    answer.stream = itertools.chain(stream(answer), [b"and more"])
    answer.length = (answer.length or 0) + 8


def shorter(answer: Answer) -> None:
    data = b"".join(stream(answer))[:-9]
    answer.stream, answer.length = iter([data]), len(data)


def understated(answer: Answer) -> None:
    answer.length = (answer.length or 0) - 9


def whole(answer: Answer) -> None:
    del answer.headers["content-range"]
    answer.status = 200


def elsewhere(answer: Answer) -> None:
    answer.headers["content-range"] = answer.headers["content-range"].replace("bytes ", "bytes 1")


def of_another_size(answer: Answer) -> None:
    answer.headers["content-range"] += "0"


def of_several(answer: Answer) -> None:
    answer.headers["content-type"] = "multipart/byteranges; boundary=x"
    del answer.headers["content-range"]


def shifted(answer: Answer) -> None:
    data = b"".join(stream(answer))
    answer.stream = iter([data[1:] + data[:1]])


def another(answer: Answer) -> None:
    answer.headers["etag"] = "another"


@pytest.fixture
def tamper(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Have answers with an object's bytes changed, the first `times` of them."""

    def begin(change: Change, times: int) -> list[int]:
        done: list[int] = []
        write = ConnectionHandler._write

        def writing(self: ConnectionHandler, answer: Answer, **how: Any) -> None:
            if answer.stream is not None and answer.status in {200, 206} and len(done) < times:
                done.append(1)
                change(answer)
            write(self, answer, **how)

        monkeypatch.setattr(ConnectionHandler, "_write", writing)
        return done

    return begin


def test_an_object_without_a_size_is_no_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a proxy frames answers anew."""
    write, changed = Wire.send_head, []

    def sending(self: Wire, status: int, headers: Mapping[str, str], content: bytes = b"") -> None:
        if "archival-state" not in headers and "etag" in headers:
            changed.append(status)
            headers = {key: headers[key] for key in headers if key != "content-length"}
            headers["connection"] = "close"
        write(self, status, headers, content)

    monkeypatch.setattr(Wire, "send_head", sending)
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", b"something")
        (tmp_path / "target").write_bytes(b"before")
        with pytest.raises(ServiceError, match="how large"):
            w.fetch("x", tmp_path / "target", verify=False)
        assert changed == [200]
        assert (tmp_path / "target").read_bytes() == b"before"


def store(w: World, size: int = 3 * MIB + 5) -> bytes:
    data = os.urandom(size)
    w.oci.put_object("backups", "x", data, algorithm="CRC32C")
    return data


MENDED = [longer, shorter, understated, whole, elsewhere, of_another_size, of_several]


@pytest.mark.parametrize("change", MENDED)
def test_what_was_not_asked_for_is_asked_for_again(
    tmp_path: Path, tamper: Callable[..., list[int]], change: Change
) -> None:
    with world(tmp_path) as w:
        data = store(w)
        done = tamper(change, 2)
        w.fetch("x", tmp_path / "target")
        assert len(done) == 2
        assert (tmp_path / "target").read_bytes() == data
        with (tmp_path / "stream").open("wb") as out:
            w.fetch("x", out)
        assert (tmp_path / "stream").read_bytes() == data


@pytest.mark.parametrize("change", MENDED)
def test_answers_that_are_never_right_are_given_up(
    tmp_path: Path, tamper: Callable[..., list[int]], change: Change
) -> None:
    with world(tmp_path) as w:
        store(w)
        (tmp_path / "target").write_bytes(b"before")
        tamper(change, 10**9)
        with pytest.raises(NetworkError):
            w.fetch("x", tmp_path / "target", flags={"max_retries": 2}, parallel=1)
        assert (tmp_path / "target").read_bytes() == b"before"


@pytest.mark.parametrize(
    ("change", "error"), [(shifted, ChecksumError), (another, ObjectChangedError)]
)
def test_other_bytes_are_seen_and_nothing_of_them_stays(
    tmp_path: Path, tamper: Callable[..., list[int]], change: Change, error: type[OcihaulError]
) -> None:
    with world(tmp_path) as w:
        data = store(w)
        (tmp_path / "target").write_bytes(b"before")
        done = tamper(change, 1)
        with pytest.raises(error):
            w.fetch("x", tmp_path / "target")
        assert done
        assert (tmp_path / "target").read_bytes() == b"before"
        assert not list(tmp_path.glob(".target*"))
        w.fetch("x", tmp_path / "target")
        assert (tmp_path / "target").read_bytes() == data


@pytest.mark.slow
@pytest.mark.parametrize("change", [longer, shorter, understated, shifted])
def test_small_objects_of_a_tree_are_asked_for_again(
    tmp_path: Path, tamper: Callable[..., list[int]], change: Change
) -> None:
    with world(tmp_path) as w:
        data = store(w, 5000)
        done = tamper(change, 2)
        ran = run(w, "bulk-download", "--dest-dir", str(tmp_path / "dest"))
        assert ran.code == 0, ran.err
        assert len(done) == 2
        assert (tmp_path / "dest" / "x").read_bytes() == data
