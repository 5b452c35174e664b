"""What the sink answers: as much of Object Storage as uploads and downloads call.

Nothing is kept of a body but its size and checksums. The etag of a part carries them, so a commit
needs no memory, and any of the sink's processes can answer it. What arrived of each object is noted
for whoever asks (`records.py`).
"""

import base64
import hashlib
import json
import mmap
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import crc32c
import jwt

from bench.exchange import Exchange, Head
from bench.records import Records
from ocihaul.transfer.checksum import combine_crc32c

NAMESPACE = "ns1"
#: In this bucket the sink computes MD5, too; elsewhere it gives back what the client declared.
MD5_BUCKET = "with-md5"
#: The bucket whose objects can be read: whatever their name, they are the file that the sink was
#: started with; the tiny one is its first byte.
READABLE = "readable"
TINY = "tiny"
#: A bucket of this name and "-COUNT-SIZE" has the objects of `Ground.tree(COUNT, SIZE)`, by their
#: names and sizes; read, each is the beginning of the readable file.
LISTED = "listed"
_PAGE = 1000

#: The official CLI stops at an answer without MD5; where the sink computes none, it says this.
_NO_MD5 = base64.b64encode(bytes(16)).decode()

_TOKEN_SECRET = "nobody checks this signature, least of all the sink"  # noqa: S105


@dataclass(frozen=True)
class Arrived:
    """What came in of a part or an object: bytes, CRC32C, MD5 in base64 ("" if not computed)."""

    size: int
    crc32c: int
    md5: str = ""

    @property
    def etag(self) -> str:
        """Carries all of it."""
        return f"{self.size:x}.{self.crc32c:08x}.{base64.b64decode(self.md5).hex()}"

    @classmethod
    def of_etag(cls, etag: str) -> "Arrived":
        """The other way round."""
        size, crc, md5 = etag.split(".")
        return cls(int(size, 16), int(crc, 16), base64.b64encode(bytes.fromhex(md5)).decode())

    @classmethod
    def of_record(cls, record: Mapping[str, object]) -> "Arrived":
        """As `record` noted it."""
        return cls(int(str(record["size"])), int(str(record["crc32c"])), str(record["md5"]))

    def record(self) -> dict[str, object]:
        """To be noted."""
        return {"size": self.size, "crc32c": self.crc32c, "md5": self.md5}

    def headers(self) -> dict[str, object]:
        """As the service tells them in the answer to a body."""
        told: dict[str, object] = {"etag": self.etag, "last-modified": formatdate(usegmt=True)}
        told["opc-content-crc32c"] = base64.b64encode(self.crc32c.to_bytes(4)).decode()
        return told | ({"opc-content-md5": self.md5} if self.md5 else {})


class Service:
    """Answers one request at a time on any number of connections.

    `records` takes what arrived; `readable` is the file behind the readable objects, its CRC32C
    beside it; `count` is told (requests, body bytes in, body bytes out, renewals) of each request.
    """

    def __init__(
        self, records: Records, readable: Path, count: Callable[[int, int, int, int], None]
    ) -> None:
        self._records = records
        self._count = count
        self._crc = int((readable.parent / "readable.crc32c").read_text())
        with readable.open("rb") as file:
            self._bytes = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def answer(self, head: Head, exchange: Exchange) -> None:
        """Take in the body of one request and answer it."""
        match head.path:
            case ("v1", "authentication", "refresh"):
                self._renew(head, exchange)
            case ("n",):
                self._tell(exchange, head, NAMESPACE)
            case ("n", ns, "b", bucket):
                self._tell(exchange, head, {"namespace": ns, "name": bucket, "etag": "bucket"})
            case ("n", _, "b", bucket, "o"):
                self._tell(exchange, head, self._list(bucket, head.query))
            case ("n", _, "b", bucket, "o", *name):
                self._object(head, exchange, bucket, "/".join(name))
            case ("n", _, "b", bucket, "u", *name):
                self._upload(head, exchange, bucket, "/".join(name))
            case _:
                self._refuse(head, exchange)

    def _object(self, head: Head, exchange: Exchange, bucket: str, name: str) -> None:
        match head.method:
            case "PUT":
                self._put_object(head, exchange, bucket, name)
            case "GET" | "HEAD":
                self._get_object(head, exchange, bucket, name)
            case _:
                self._refuse(head, exchange)

    def _upload(self, head: Head, exchange: Exchange, bucket: str, name: str) -> None:
        match head.method:
            case "PUT":
                arrived = self._take_in(head, exchange, with_md5=bucket == MD5_BUCKET)
                exchange.answer(200, {"opc-content-md5": _NO_MD5} | arrived.headers())
            case "POST" if not name:
                self._create(head, exchange, bucket)
            case "POST":
                self._commit(head, exchange, bucket, name)
            case "GET":
                self._tell(exchange, head, [])
            case _:
                self._refuse(head, exchange)

    def _refuse(self, head: Head, exchange: Exchange) -> None:
        """Deletions are agreed to; whoever calls anything else has to hear that it is not here."""
        self._drain(head, exchange)
        exchange.answer(204 if head.method == "DELETE" else 501, {})

    # Bodies

    def _take_in(self, head: Head, exchange: Exchange, *, with_md5: bool) -> Arrived:
        size, crc, md5 = 0, 0, hashlib.md5(usedforsecurity=False) if with_md5 else None
        for piece in exchange.body(head):
            size += len(piece)
            crc = crc32c.crc32c(piece, crc)
            if md5 is not None:
                md5.update(piece)
        self._count(1, size, 0, 0)
        declared = head.headers.get("content-md5", "")
        return Arrived(size, crc, base64.b64encode(md5.digest()).decode() if md5 else declared)

    def _drain(self, head: Head, exchange: Exchange) -> bytes:
        body = b"".join(map(bytes, exchange.body(head)))
        self._count(1, 0, 0, 0)
        return body

    def _tell(self, exchange: Exchange, head: Head, document: object) -> None:
        self._drain(head, exchange)
        text = json.dumps(document).encode()
        headers = {"content-type": "application/json"}
        if head.method == "HEAD":
            exchange.answer(200, headers | {"content-length": str(len(text))})
        else:
            exchange.answer(200, headers, text)

    # Objects

    def _put_object(self, head: Head, exchange: Exchange, bucket: str, name: str) -> None:
        arrived = self._take_in(head, exchange, with_md5=bucket == MD5_BUCKET)
        self._remember(bucket, name, arrived)
        exchange.answer(200, {"opc-content-md5": _NO_MD5} | arrived.headers())

    def _get_object(self, head: Head, exchange: Exchange, bucket: str, name: str) -> None:
        self._drain(head, exchange)
        if bucket == READABLE:
            self._read(head, exchange, self._bytes[:1] if name == TINY else self._bytes)
            return
        if bucket.startswith(LISTED):
            _, size = listed(bucket)
            self._read(head, exchange, self._bytes[:size])
            return
        known = self._records.find(bucket, name)
        if known is None:
            exchange.answer(404, {})
            return
        arrived = Arrived.of_record(known)
        headers = arrived.headers() | {"content-length": arrived.size}
        if arrived.md5:
            headers["content-md5"] = arrived.md5
        exchange.answer(200, headers)

    def _read(self, head: Head, exchange: Exchange, whole: memoryview) -> None:
        size, first, last = len(whole), 0, len(whole) - 1
        ranged = head.headers.get("range", "").removeprefix("bytes=")
        if ranged:
            begin, _, end = ranged.partition("-")
            first, last = int(begin), min(int(end or last), last)
        crc = self._crc if size == len(self._bytes) else crc32c.crc32c(whole)
        headers = Arrived(size, crc).headers()
        headers |= {"content-length": last - first + 1, "accept-ranges": "bytes"}
        if ranged:
            headers["content-range"] = f"bytes {first}-{last}/{size}"
        exchange.answer(206 if ranged else 200, headers)
        if head.method == "GET":
            exchange.sock.sendall(whole[first : last + 1])
            self._count(0, 0, last + 1 - first, 0)

    def _list(self, bucket: str, query: Mapping[str, str]) -> dict[str, object]:
        if bucket == READABLE:
            return {
                "objects": [_summary(READABLE, Arrived(len(self._bytes), self._crc))],
                "prefixes": [],
            }
        if not bucket.startswith(LISTED):
            return {"objects": [], "prefixes": []}
        count, size = listed(bucket)
        first = _number_from(query.get("start", ""))
        after = min(first + min(int(query.get("limit", _PAGE)), _PAGE), count)
        one = Arrived(size, crc32c.crc32c(self._bytes[:size]))
        page = [_summary(tree_name(number), one) for number in range(first, after)]
        told: dict[str, object] = {"objects": page, "prefixes": []}
        return told | ({"nextStartWith": tree_name(after)} if after < count else {})

    # Multipart uploads

    def _create(self, head: Head, exchange: Exchange, bucket: str) -> None:
        name = json.loads(self._drain(head, exchange))["object"]
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        document = {"namespace": NAMESPACE, "bucket": bucket, "object": name, "timeCreated": now}
        text = json.dumps(document | {"uploadId": "upload", "storageTier": "Standard"})
        exchange.answer(200, {"content-type": "application/json"}, text.encode())

    def _commit(self, head: Head, exchange: Exchange, bucket: str, name: str) -> None:
        parts = json.loads(self._drain(head, exchange))["partsToCommit"]
        parts.sort(key=lambda part: part["partNum"])
        arrived = combined(Arrived.of_etag(part["etag"]) for part in parts)
        self._remember(bucket, name, Arrived(arrived.size, arrived.crc32c))
        headers = Arrived(arrived.size, arrived.crc32c).headers()
        headers["opc-multipart-md5"] = f"{arrived.md5 or _NO_MD5}-{len(parts)}"
        exchange.answer(200, headers)

    def _remember(self, bucket: str, name: str, arrived: Arrived) -> None:
        self._records.add(bucket, name, arrived.record())

    # Tokens

    def _renew(self, head: Head, exchange: Exchange) -> None:
        """The same token again, as long-lived as it was, from now."""
        old = json.loads(self._drain(head, exchange))["currentToken"]
        claims = jwt.decode(old, options={"verify_signature": False})
        self._count(0, 0, 0, 1)
        text = json.dumps({"token": token(claims, life=claims["exp"] - claims["iat"])})
        exchange.answer(200, {"content-type": "application/json"}, text.encode())


def listed(bucket: str) -> tuple[int, int]:
    """How many objects such a bucket has, and the bytes of each."""
    _, count, size = bucket.split("-")
    return int(count), int(size)


def tree_name(number: int) -> str:
    """The name of a file in the tree of many small ones, below its top."""
    return f"{number // 100:04}/{number:06}"


def _number_from(start: str) -> int:
    """The first file of the tree whose name is not before `start`; pure."""
    directory, _, name = start.partition("/")
    return int(name) if name else int(directory or 0) * 100


def _summary(name: str, arrived: Arrived) -> dict[str, object]:
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    summary = {"name": name, "size": arrived.size, "timeModified": now, "timeCreated": now}
    return summary | {"etag": arrived.etag, "archivalState": None}


def token(claims: dict[str, object], *, life: float) -> str:
    """A session token with these claims that lives `life` seconds from now."""
    now = time.time()
    fresh = {"iat": now, "exp": now + life, "jti": str(time.time_ns())}
    return jwt.encode(claims | fresh, _TOKEN_SECRET, algorithm="HS256")


def combined(parts: Iterable[Arrived]) -> Arrived:
    """The object that these parts make, in order; its `md5` is the MD5 of their MD5s."""
    size, crc, md5, complete = 0, 0, hashlib.md5(usedforsecurity=False), True
    for part in parts:
        size += part.size
        crc = combine_crc32c(crc, part.crc32c, part.size)
        md5.update(base64.b64decode(part.md5))
        complete = complete and bool(part.md5)
    return Arrived(size, crc, base64.b64encode(md5.digest()).decode() if complete else "")
