"""What lies on a disk: receipts, the journal, what directories and downloads remember, PARs."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from hypothesis import strategies as st

from ocihaul.directories.checkpoint import DirectoryCheckpoint, run_key
from ocihaul.directories.checkpoint import Finished as FinishedFile
from ocihaul.directories.names import folded, object_name, printable, relative_path
from ocihaul.directories.request import make_filter
from ocihaul.errors import JournalError, ReceiptError, UsageError
from ocihaul.events import ignore
from ocihaul.filesystem import FileSystem
from ocihaul.report.page import LARGEST, ReportContents, page
from ocihaul.report.runs import LogReader
from ocihaul.storage.names import quoted
from ocihaul.transfer.checksum import SentPart
from ocihaul.transfer.download.local_file import DownloadCheckpoint, FinishedRange
from ocihaul.transfer.download.local_file import Place as FilePlace
from ocihaul.transfer.download.request import RangePlan, wanted_bytes
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.journal.journal import Target as Place
from ocihaul.transfer.receipt import read_receipt
from ocihaul.transfer.source import Identity
from ocihaul.transfer.upload.incomplete import ParStore, StoredPar
from tests.fuzz.strategies import damaged, json_texts, sentences, texts
from tests.fuzz.target import Target
from tests.nights import BEGAN, a_night
from tests.unit.transfer.receipts.test_receipt import RECEIPT

T = TypeVar("T")
PLACE = Place("http://e", "ns1", "backups", "a/b")
KEY = run_key(what="fuzz")


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ocihaul-fuzz") as name:
        yield Path(name)


def _receipt(text: bytes) -> None:
    receipt = read_receipt(text.decode(errors="surrogateescape"), where="here")
    again = read_receipt(receipt.text(), where="there")
    # Times are written in milliseconds.
    assert abs(again.begun - receipt.begun) + abs(again.finished - receipt.finished) < 0.01
    assert replace(again, begun=receipt.begun, finished=receipt.finished) == receipt
    if receipt.path is not None:
        with contextlib.suppress(OSError):
            Path(receipt.path).stat()


# Databases: a few pages of a real one, with bits flipped anywhere, its schema included.


@lru_cache(maxsize=1)
def _journal_file() -> bytes:
    with _directory() as directory:
        with Journal(directory) as journal:
            entry = journal.begin(
                PLACE,
                upload_id="u1",
                source="/f",
                identity=Identity(1, 2, 30, 2**63 + 5),
                part_size=10,
                encryption="service",
                algorithm="CRC32C",
                attributes={"contentType": "text/plain"},
                ctime_ns=7,
            )
            journal.record(entry, {n: SentPart(10, f"e{n}", {"CRC32C": b"abcd"}) for n in (1, 2)})
            journal.finish(PLACE, None, etag="e", size=30, document=RECEIPT.text(), owed=True)
        return (directory / "journal.sqlite3").read_bytes()


@lru_cache(maxsize=1)
def _ledger_file() -> bytes:
    with _directory() as directory:
        with DirectoryCheckpoint(directory, KEY) as ledger:
            for number in range(5):
                ledger.add(f"a/{number}", FinishedFile(5, 7, {"etag": f"e{number}"}))
        return (directory / "trees.sqlite3").read_bytes()


@st.composite
def flipped(draw: st.DrawFn, whole: Callable[[], bytes]) -> bytes:
    """A file with one to eight bits flipped, most often near its beginning."""
    data = bytearray(whole())
    for _ in range(draw(st.integers(1, 8))):
        end = draw(st.sampled_from((min(100, len(data)), min(4096, len(data)), len(data))))
        bit = draw(st.integers(0, end * 8 - 1))
        data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


def _journal(data: bytes) -> None:
    with _directory() as directory:
        (directory / "journal.sqlite3").write_bytes(data)
        with Journal(directory) as journal:
            _journal_read(journal)


def _journal_read(journal: Journal) -> None:
    def tried(work: Callable[[], T]) -> T | None:
        with contextlib.suppress(JournalError):
            return work()
        return None

    entry = tried(lambda: journal.find(PLACE))
    tried(journal.entries)
    for kept in tried(journal.receipts) or ():
        text = tried(lambda row=kept.row: journal.receipt(row))  # type: ignore[misc]
        if text is not None:
            with contextlib.suppress(ReceiptError):
                read_receipt(text, where="here")
    tried(lambda: journal.owed(PLACE))
    if entry is not None:
        assert entry.part_size > 0
        parts = tried(lambda: journal.parts(entry)) or {}
        assert all(number > 0 and part.size >= 0 for number, part in parts.items())
        assert all(len(part.digests["CRC32C"]) == 4 for part in parts.values())
        tried(lambda: journal.progress(entry))
        tried(lambda: journal.record(entry, {3: SentPart(10, "e", {"CRC32C": b"abcd"})}))
        tried(lambda: journal.forget(entry))


def _ledger(data: bytes) -> None:
    with _directory() as directory:
        (directory / "trees.sqlite3").write_bytes(data)
        with DirectoryCheckpoint(directory, KEY) as ledger:
            for number in range(5):
                found = ledger.finished(f"a/{number}")
                assert found is None or isinstance(found.headers, dict)
            ledger.add("a/9", FinishedFile(5, 7, {}))


def _finished(directory: Path) -> DownloadCheckpoint:
    return DownloadCheckpoint(
        FilePlace.at(directory / "target", FileSystem(ignore)), "ranges", ignore
    )


@lru_cache(maxsize=1)
def _ranges_file() -> bytes:
    with _directory() as directory:
        finished = _finished(directory)
        finished.begin("e", 100, RangePlan(0, 100, 20, 10))
        finished.record(1, FinishedRange(b"abcd", (b"x" * 16, b"y" * 16)))
        finished.record(3, FinishedRange(b"efgh"))
        finished.close()
        return (directory / "ranges").read_bytes()


def _ranges(data: bytes) -> None:
    with _directory() as directory:
        (directory / "ranges").write_bytes(data)
        plan, finished, begun = _finished(directory).load("e", 100)
        assert 0 <= plan.start <= plan.end <= 100
        for number in (*finished, *begun):
            offset, length = plan.part(number)
            assert 0 <= offset < offset + length <= 100
        assert all(0 < each.length < 100 for each in begun.values())


ACCESS = StoredPar("p", 1.9e9, "u", "/p/secret/u/", "ocihaul upload x")


def _access(data: bytes) -> None:
    with _directory() as directory:
        (directory / "par.json").write_bytes(data)
        found = ParStore(directory / "par.json").load()
        if found is not None and found.access_uri:
            assert found.access_uri.startswith("/")
            assert found.access_uri.isascii()


def _name(given: tuple[str, str, str]) -> None:
    prefix, name, pattern = given
    with contextlib.suppress(UsageError):
        object_name(prefix, name).encode()
    with contextlib.suppress(UsageError):
        assert quoted(name, "name") not in {".", ".."}
    printable(name).encode()
    folded(name)
    path = relative_path(prefix + name, prefix=prefix)
    root = "/srv/files"
    assert os.path.commonpath([root, os.path.normpath(f"{root}/{path}")]) == root
    assert "\0" not in path
    make_filter([pattern], [], root=root, prefix=prefix)(path)


def _span(given: tuple[str, int]) -> None:
    start, end = wanted_bytes(*given)
    assert 0 <= start < end <= given[1]


def _log_lines() -> st.SearchStrategy[bytes]:
    """A line of each event of a night, with a few places changed."""
    by_event = {json.loads(line)["event"]: json.loads(line) for line in a_night(parts=4).lines}
    return st.one_of([json_texts(record) for record in by_event.values()])


def _nights(lines: list[bytes]) -> None:
    reader = LogReader()
    reader.read(lines)
    document = page(ReportContents(runs=reader.runs, now=BEGAN, version="1"))
    assert len(document.encode()) < LARGEST
    assert document.count("<script>") == 1


_NAMES = sentences("a/b", "dir/", "/abs", "../x", "a/../../b", "a//b", ".", "é/ß", "C:\\x")
_SPANS = st.tuples(sentences("bytes=0-9", "bytes=5-", "bytes=-3", "bytes=9-0"), st.integers(0, 50))

TARGETS = [
    Target(
        "receipts", st.deferred(lambda: json_texts(RECEIPT._document())), _receipt, (ReceiptError,)
    ),
    Target("journals", flipped(_journal_file), _journal, (JournalError,)),
    Target("memories of directories", flipped(_ledger_file), _ledger, (JournalError,)),
    Target(
        "memories of downloads",
        st.deferred(lambda: flipped(_ranges_file) | damaged(_ranges_file())),
        _ranges,
        (LookupError,),
    ),
    Target("rights of uploads", json_texts(asdict(ACCESS)), _access, ()),
    Target(
        "names and patterns",
        st.tuples(sentences("", "p/", "a"), _NAMES | texts, texts),
        _name,
        (UsageError,),
    ),
    Target("ranges of bytes", _SPANS, _span, (UsageError,)),
    Target("logs of nights", st.lists(st.deferred(_log_lines), max_size=8), _nights, ()),
]
