"""Compare a receipt with the local file and with the object on the service."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ocihaul.documents import DocumentError, read_text
from ocihaul.errors import ReceiptError, ServiceError, UsageError
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import SseCustomerKey
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, MD5
from ocihaul.transfer.receipt import Receipt, ReceiptPart, read_receipt
from ocihaul.transfer.source import FileSource, digest_ranges

#: HeadObject's headers for the MD5 of a whole object: sent in one piece, sent in parts.
_MD5_HEADERS = ("content-md5", "opc-multipart-md5")


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """How a file compares with its receipt; `differing` are numbers of parts."""

    path: Path
    size: int | None
    differing: tuple[int, ...]
    problems: tuple[str, ...]

    @property
    def good(self) -> bool:
        """It is what was sent."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class ObjectVerdict:
    """How the object on the service compares; `found` is False when there is none.

    `compared` names what was compared; `archival_state` is the service's word for it.
    """

    found: bool
    etag: str | None
    size: int | None
    archival_state: str | None
    compared: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def good(self) -> bool:
        """It is what was stored."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a file and an object since their `receipt`; None: not looked at."""

    receipt: Receipt
    file: FileVerdict | None
    object: ObjectVerdict | None

    @property
    def good(self) -> bool:
        """Something was looked at, and all of it is as it was stored."""
        looked_at = [each for each in (self.file, self.object) if each is not None]
        return bool(looked_at) and all(each.good for each in looked_at)


def load_receipt(path: Path) -> Receipt:
    """The receipt in a file. Raises ReceiptError."""
    try:
        text = read_text(path)
    except OSError as error:
        raise ReceiptError(
            f"the receipt {path} cannot be read: {error.strerror}", hint="Check the path."
        ) from None
    except DocumentError as error:
        raise ReceiptError(f"{path} is not a receipt: it is {error}") from None
    return read_receipt(text, where=str(path))


def verify_file(receipt: Receipt, path: Path, *, stop: threading.Event) -> FileVerdict:
    """Read the file once and compare its size, every part, and the whole.

    Raises SourceError, SourceChangedError when it is written to meanwhile, and TransferCancelled.
    """
    with FileSource(path) as source:
        problems = []
        if source.size != receipt.size:
            problems.append(f"it has {source.size} bytes, the receipt says {receipt.size}")
        offset, inside = 0, []
        for part in receipt.parts:
            if offset + part.size <= source.size:
                inside.append((offset, part.size))
            offset += part.size
        bare = [part for part in receipt.parts if part.size and not part.checksums]
        algorithms = {name for part in receipt.parts for name in part.checksums} | {CRC32C}
        algorithms |= {MD5} if bare and receipt.md5 else set()
        digests = digest_ranges(source, inside, algorithms, stop=stop)
        source.check_unchanged()
        differing = tuple(
            part.number
            for index, part in enumerate(receipt.parts)
            if index >= len(digests) or _differs(part, digests[index])
        )
        if differing:
            problems.append(f"{len(differing)} of {len(receipt.parts)} parts differ")
        elif not problems:
            wholes = _wholes(receipt, digests)
            problems += [
                f"the {name} of the whole differs, although no part does"
                for name, (ours, theirs) in wholes.items()
                if ours != theirs
            ]
            if bare and not wholes:
                problems.append(_without_checksum(receipt))
        return FileVerdict(path, source.size, differing, tuple(problems))


def verify_here(receipt: Path, file: str | Path | None, *, stop: threading.Event) -> Verification:
    """Compare a file with a receipt; the service is not asked. Raises as `verify_file` does."""
    proof = load_receipt(receipt)
    verdict = None if file is None else verify_file(proof, Path(file), stop=stop)
    return Verification(proof, verdict, None)


def verify_object(
    receipt: Receipt, storage: StorageClient, *, key: SseCustomerKey | None
) -> ObjectVerdict:
    """Ask for the object's headers and compare; nothing is read or restored.

    `key` is the customer's key, where the object has one. Raises what HeadObject raises, but for
    the object that is not there; UsageError when a key is missing or another.
    """
    target, headers = receipt.target, _key_headers(receipt, key)
    try:
        there = storage.head_object(target.namespace, target.bucket, target.object, headers)
    except ServiceError as error:
        if error.status != 404:
            raise
        gone = "there is no such object, or no policy lets you see it"
        return ObjectVerdict(
            found=False, etag=None, size=None, archival_state=None, compared=(), problems=(gone,)
        )
    problems, compared = [], ["etag", "size"]
    if there.etag != receipt.etag:
        problems.append(
            f"its etag is {there.etag}, the receipt says {receipt.etag}: it was replaced"
        )
    if there.size != receipt.size:
        problems.append(f"it has {there.size} bytes, the receipt says {receipt.size}")
    values = _whole_values(receipt)
    if receipt.size and not (values or any(part.checksums for part in receipt.parts)):
        problems.append(_without_checksum(receipt))
    for name, ours in values.items():
        if name in there.headers:
            compared.append(name)
            if there.headers[name] != ours:
                problems.append(f"its {name} is {there.headers[name]}, the receipt says {ours}")
    return ObjectVerdict(
        found=True,
        etag=there.etag,
        size=there.size,
        archival_state=there.headers.get("archival-state"),
        compared=tuple(compared),
        problems=tuple(problems),
    )


def _whole_values(receipt: Receipt) -> Mapping[str, str]:
    """What HeadObject has to say, as far as the receipt knows it: our own values first."""
    values = {name: value for name, value in receipt.service.items() if name.startswith("opc-")}
    values["content-md5"] = values.pop("opc-content-md5", receipt.service.get("content-md5", ""))
    if receipt.crc32c:
        values[checksum.content_header(CRC32C)] = receipt.crc32c
    if receipt.md5:
        values[_MD5_HEADERS["-" in receipt.md5]] = receipt.md5
    return {name: value for name, value in values.items() if value}


def _differs(part: ReceiptPart, digests: Mapping[str, bytes]) -> bool:
    ours = {name: checksum.encoded(digests[name]) for name in part.checksums}
    return ours != dict(part.checksums)


def _without_checksum(receipt: Receipt) -> str:
    """What is not proved by a receipt that only tells sizes."""
    bare = sum(not part.checksums for part in receipt.parts if part.size)
    count = len(receipt.parts)
    of_parts = "" if bare == count else f" of {bare} of {count} parts"
    return f"the receipt has no checksum{of_parts}, so nothing proves these bytes"


def _wholes(receipt: Receipt, digests: list[dict[str, bytes]]) -> dict[str, tuple[str, str]]:
    """The file's checksums of the whole and the receipt's, where both are known."""
    found = {}
    if receipt.crc32c is not None:
        found[CRC32C] = (_whole(receipt, digests, CRC32C), receipt.crc32c)
    if receipt.md5 is not None and all(MD5 in each for each in digests):
        ours = _whole(receipt, digests, MD5)
        if "-" not in receipt.md5 and len(digests) == 1:
            ours = checksum.encoded(digests[0][MD5])
        # Another number of parts means other parts than the receipt's: nothing to compare.
        if ours.partition("-")[2] == receipt.md5.partition("-")[2]:
            found[MD5] = (ours, receipt.md5)
    return found


def _whole(receipt: Receipt, digests: list[dict[str, bytes]], algorithm: str) -> str:
    pairs = zip(digests, receipt.parts, strict=True)
    return checksum.whole(algorithm, ((each[algorithm], part.size) for each, part in pairs))


def _key_headers(receipt: Receipt, key: SseCustomerKey | None) -> dict[str, str]:
    kind, _, digest = receipt.encryption.partition(" ")
    if kind != "sse-c":
        return {}
    hint = "Pass the `sse_customer_key` that it was stored with."
    if key is None:
        name = receipt.target.object
        raise UsageError(f"the object {name!r} is encrypted with a key of yours", hint=hint)
    headers = key.headers()
    if headers["opc-sse-customer-key-sha256"] != digest:
        raise UsageError(
            "`sse_customer_key`: this is not the key that the receipt names", hint=hint
        )
    return headers
