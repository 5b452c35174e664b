"""The receipt of an upload: what was sent, what the service answered, and the file that says so."""

import base64
import contextlib
import json
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ocihaul import __version__
from ocihaul.documents import (
    LAST_MOMENT,
    DocumentError,
    list_of,
    object_at,
    object_of,
    read_object,
    text,
    text_or_none,
    whole_number,
)
from ocihaul.errors import ReceiptError, UsageError
from ocihaul.filesystem import sync_directory, sync_file
from ocihaul.transfer.checksum import CRC32C, MD5, SIZES, SentPart, encoded
from ocihaul.transfer.journal.journal import Target
from ocihaul.transfer.monitor import Counts
from ocihaul.transfer.source import Identity

SCHEMA = "ocihaul-receipt"
VERSION = 1

#: The service's headers that say something about the object's bytes or its time.
_SERVICE = ("opc-content-", "opc-multipart-", "content-md5", "last-modified")


@dataclass(frozen=True, slots=True)
class ReceiptPart:
    """One part, numbered from 1; checksums are base64, by algorithm."""

    number: int
    size: int
    etag: str
    request_id: str | None
    checksums: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One finished upload. Sizes are bytes, times epoch seconds, checksums base64.

    `path` is None where the source was no file; `identity` too. `crc32c` and `md5` are of the
    whole object, the latter with `-N` where it had N parts. `service` has the headers that the
    service sent about it. `counts` is None where they were not counted.
    """

    path: str | None
    identity: Identity | None
    size: int
    target: Target
    etag: str
    version_id: str | None
    upload_id: str | None
    encryption: str
    part_size: int
    parts: Sequence[ReceiptPart]
    crc32c: str | None
    md5: str | None
    service: Mapping[str, str]
    begun: float
    finished: float
    counts: Counts | None
    ocihaul: str = __version__

    def text(self) -> str:
        """The document, one line for each part, in ASCII."""
        document = self._document()
        parts = document.pop("parts")
        head = json.dumps(document, indent=2).removesuffix("\n}")
        lines = ",\n".join("    " + json.dumps(part) for part in parts)
        return f'{head},\n  "parts": [\n{lines}\n  ]\n}}\n'

    def _document(self) -> dict[str, Any]:
        identity = self.identity
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "ocihaul": self.ocihaul,
            "source": {
                "path": self.path,
                "size": self.size,
                "mtime-ns": identity.mtime_ns if identity else None,
                "inode": identity.inode if identity else None,
                "device": identity.device if identity else None,
            },
            "target": {
                **asdict(self.target),
                "etag": self.etag,
                "version-id": self.version_id,
                "upload-id": self.upload_id,
                "encryption": self.encryption,
            },
            "whole": {"size": self.size, "crc32c": self.crc32c, "md5": self.md5},
            "service": dict(self.service),
            "times": {"begun": _iso(self.begun), "finished": _iso(self.finished)},
            "counts": _counts(self.counts),
            "part-size": self.part_size,
            "parts": [
                {
                    "number": part.number,
                    "size": part.size,
                    "etag": part.etag,
                    "opc-request-id": part.request_id,
                    **{name.lower(): value for name, value in part.checksums.items()},
                }
                for part in self.parts
            ],
        }


def receipt_parts(parts: Sequence[SentPart]) -> list[ReceiptPart]:
    """Sent parts, in order, as a receipt has them."""
    return [
        ReceiptPart(
            number,
            part.size,
            part.etag,
            part.request_id,
            {name: encoded(part.digests[name]) for name in SIZES if name in part.digests},
        )
        for number, part in enumerate(parts, 1)
    ]


def service_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """What the service said of the object itself."""
    return {name: headers[name] for name in sorted(headers) if name.startswith(_SERVICE)}


def read_receipt(document_text: str, *, where: str) -> Receipt:
    """A receipt from its document; `where` names its origin in the error.

    Raises ReceiptError for what is no receipt, is damaged, or is of a newer version.
    """
    try:
        document = read_object(document_text)
    except DocumentError as error:
        raise _unreadable(where, f"it is {error}") from None
    if document.get("schema") != SCHEMA:
        raise _unreadable(where, f'it has no "schema": "{SCHEMA}"')
    version = document.get("version")
    if isinstance(version, int) and version > VERSION:
        raise ReceiptError(
            f"{where} was written by a newer version of ocihaul (receipt version {version}, "
            f"this is {__version__} and knows {VERSION})",
            hint="Use that version or a later one.",
        )
    try:
        receipt = _receipt(document)
    except DocumentError as error:
        raise _unreadable(where, str(error)) from None
    if trouble := _inconsistency(receipt):
        raise _unreadable(where, trouble)
    return receipt


def _receipt(document: Mapping[str, Any]) -> Receipt:
    source, target, whole, service, times = (
        object_at(document, name) for name in ("source", "target", "whole", "service", "times")
    )
    names = ("device", "inode", "size", "mtime-ns")
    known = all(type(source.get(name)) is int for name in names)
    return Receipt(
        path=_path_or_none(source),
        identity=Identity(*(source[name] for name in names)) if known else None,
        size=whole_number(whole, "size"),
        target=Target(
            *(text(target, name) for name in ("endpoint", "namespace", "bucket", "object"))
        ),
        etag=text(target, "etag"),
        version_id=_nullable(target, "version-id"),
        upload_id=_nullable(target, "upload-id"),
        encryption=text(target, "encryption"),
        part_size=whole_number(document, "part-size"),
        parts=[_part(object_of(part)) for part in list_of(document.get("parts"))],
        crc32c=_nullable(whole, "crc32c"),
        md5=_nullable(whole, "md5"),
        service={name: text(service, name) for name in service},
        begun=_epoch(times, "begun"),
        finished=_epoch(times, "finished"),
        counts=None if document.get("counts") is None else _counted(object_at(document, "counts")),
        ocihaul=text(document, "ocihaul"),
    )


def _part(part: Mapping[str, Any]) -> ReceiptPart:
    return ReceiptPart(
        whole_number(part, "number"),
        whole_number(part, "size"),
        text(part, "etag"),
        _nullable(part, "opc-request-id"),
        {name: text(part, name.lower()) for name in SIZES if name.lower() in part},
    )


def _inconsistency(receipt: Receipt) -> str | None:
    """What cannot be: a receipt that was cut, or edited by hand."""
    if [part.number for part in receipt.parts] != list(range(1, len(receipt.parts) + 1)):
        return "its parts are not numbered 1, 2, 3, …"
    if sum(part.size for part in receipt.parts) != receipt.size:
        return f"its parts do not add up to {receipt.size} bytes"
    if receipt.identity is not None and receipt.identity.size != receipt.size:
        return f"its source has {receipt.identity.size} bytes, and the object {receipt.size}"
    return _no_checksum(receipt)


def _no_checksum(receipt: Receipt) -> str | None:
    """What stands where a checksum should, and is none."""
    for part in receipt.parts:
        for name, value in part.checksums.items():
            if not _is_digest(name, value):
                return f"the {name} of part {part.number} is none: {value!r}"
    md5, dash, count = (receipt.md5 or "").partition("-")
    if receipt.md5 is not None and not (_is_digest(MD5, md5) and count.isdecimal() == bool(dash)):
        return f"its MD5 is none: {receipt.md5!r}"
    if receipt.crc32c is not None and not _is_digest(CRC32C, receipt.crc32c):
        return f"its CRC32C is none: {receipt.crc32c!r}"
    return None


def _is_digest(algorithm: str, text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == SIZES[algorithm]
    except ValueError:
        return False


def _counts(counts: Counts | None) -> dict[str, int] | None:
    if counts is None:
        return None
    return {name.replace("_", "-"): value for name, value in asdict(counts).items()}


def _counted(document: Mapping[str, Any]) -> Counts:
    return Counts.from_document({name.replace("-", "_"): n for name, n in document.items()})


def _iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")


def _nullable(document: Mapping[str, Any], key: str) -> str | None:
    """A text or null; what may be null is there all the same."""
    if key not in document:
        raise DocumentError(f"{key} is missing")
    return text_or_none(document, key)


def _epoch(document: Mapping[str, Any], key: str) -> float:
    try:
        moment = datetime.fromisoformat(text(document, key))
    except ValueError:
        raise DocumentError(f"{key} is not a time") from None
    if moment.tzinfo is None:
        raise DocumentError(f"{key} is a time without a zone")
    if not 0 <= (epoch := moment.timestamp()) <= LAST_MOMENT:
        raise DocumentError(f"{key} is not a time of the years 1970 to 9999")
    return epoch


def _path_or_none(source: Mapping[str, Any]) -> str | None:
    """The path, in which bytes that are no UTF-8 stand as lone surrogates, as in Python's own."""
    path = source.get("path")
    if path is None:
        return None
    try:
        if isinstance(path, str) and "\0" not in path and path.encode(errors="surrogateescape"):
            return path
    except UnicodeEncodeError:
        pass
    raise DocumentError("path is not one that a file can have")


def _unreadable(where: str, reason: str) -> ReceiptError:
    return ReceiptError(
        f"{where} is not a receipt that can be read: {reason}",
        hint="A receipt is what `receipt` has written; those that are kept in the journal are "
        "listed by: ocihaul receipts list",
    )


#: How much of a file is read to see whether it is a receipt: its second line says so.
_HEAD = 200
#: Of a receipt, before the umask.
_MODE = 0o644


def check_place(path: Path, source: Path | None) -> None:
    """Raise UsageError when a receipt cannot be written there, or must not be."""
    if "\0" in str(path):
        raise UsageError(f"`receipt`: {path} is no path: it has a NUL in it")
    path = _behind_links(path)
    try:
        status = path.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _impossible(path, error) from None
    else:
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(
                f"`receipt`: {path} is not a regular file", hint="Name a file of its own for it."
            )
        if source is not None and _are_one(path, source):
            raise UsageError(
                f"`receipt`: {path} is the file to upload", hint="Name another file for it."
            )
        _check_replaceable(path)
    trial = _beside(path)
    try:
        trial.touch(mode=_MODE, exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise _impossible(path, error) from None


def write_receipt(path: Path, text: str) -> bool:
    """Write a receipt there, whole or not at all; a link stays one.

    Return whether the file system has put it on disk, which not every one can. Raises
    ReceiptError.
    """
    path = _behind_links(path)
    new = _beside(path)
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            durable = sync_file(file.fileno())
        new.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise ReceiptError(f"the receipt {path} cannot be written: {error.strerror}") from error
    return durable


def _behind_links(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links in a circle: told when it is looked at
        return path


def _are_one(path: Path, source: Path) -> bool:
    try:
        return path.samefile(source)
    except OSError:  # there is no source: that is told when it is opened
        return False


def _check_replaceable(path: Path) -> None:
    """Raise UsageError unless the file is empty or an older receipt."""
    try:
        with path.open("rb") as file:
            start = file.read(_HEAD)
    except OSError as error:
        raise _impossible(path, error) from None
    if start and SCHEMA.encode() not in start:
        raise UsageError(
            f"`receipt`: {path} exists and is not a receipt",
            hint="Name another file, or remove this one.",
        )


def _beside(path: Path) -> Path:
    return path.with_name(f".ocihaul-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _impossible(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"`receipt`: {path} cannot be written: {error.strerror}",
        hint="Name a file in a directory that exists and can be written to.",
    )
