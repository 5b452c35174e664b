"""After the last byte: the receipt, in the journal and in its file; and one that is still owed."""

import time
from dataclasses import dataclass, replace

from ocihaul.errors import ReceiptError
from ocihaul.events import Notice
from ocihaul.filesystem import UNSYNCED
from ocihaul.transfer.receipts.receipt import Receipt, read_receipt, receipt_parts, service_headers
from ocihaul.transfer.receipts.receipt_file import write_receipt
from ocihaul.transfer.source import Identity
from ocihaul.transfer.upload.context import Job
from ocihaul.transfer.upload.request import UploadResult
from ocihaul.transfer.upload.resume import encryption_of
from ocihaul.transfer.upload.state import Memory


@dataclass(frozen=True, slots=True)
class Origin:
    """What was sent: a file, or (without path and identity) a stream. `part_size` is bytes."""

    path: str | None
    identity: Identity | None
    part_size: int


def conclude(job: Job, memory: Memory, origin: Origin, result: UploadResult) -> UploadResult:
    """The result with its receipt, which is kept in the journal and written to its file.

    Raises ReceiptError (with the result) when the file cannot be written any more.
    """
    receipt = _receipt(job, memory, origin, result)
    result = replace(result, receipt=receipt)
    row = memory.finish(receipt, owed=job.request.receipt is not None)
    _hand_over(job, memory, result, receipt, row)
    return result


def finished_before(job: Job, memory: Memory, origin: Origin) -> UploadResult | None:
    """The result of an earlier run that stored everything but could not write its receipt.

    None unless the file is the one that was sent then and the object is still that one.
    """
    if job.request.receipt is None or job.request.restart:
        return None
    kept = memory.owed()
    if kept is None:
        return None
    owed, text = kept
    try:
        receipt = read_receipt(text, where="the journal's receipt")
    except ReceiptError:
        return None
    if receipt.identity != origin.identity:
        return None
    there = job.target.as_written(receipt.size)
    if there is None or there["etag"] != owed.etag:
        return None
    job.listener(Notice("The earlier run had finished; only its receipt was not written."))
    result = replace(
        job.result(
            there,
            size=receipt.size,
            part_count=len(receipt.parts),
            crc32c=receipt.crc32c,
            md5=receipt.md5,
            parts=(),
            upload_id=receipt.upload_id,
        ),
        bytes_resent=0,
        receipt=receipt,
    )
    _hand_over(job, memory, result, receipt, owed.row)
    return result


def _receipt(job: Job, memory: Memory, origin: Origin, result: UploadResult) -> Receipt:
    headers = result.headers
    return Receipt(
        path=origin.path,
        identity=origin.identity,
        size=result.size,
        target=memory.target,
        etag=headers.get("etag", ""),
        version_id=headers.get("version-id"),
        upload_id=result.upload_id,
        encryption=encryption_of(job.request),
        part_size=origin.part_size,
        parts=receipt_parts(result.parts),
        crc32c=result.crc32c,
        md5=result.md5,
        service=service_headers(headers),
        begun=memory.entry.created_at if memory.entry is not None else memory.begun,
        finished=time.time(),
        counts=memory.counts if memory.counter is not None else None,
    )


def _hand_over(
    job: Job, memory: Memory, result: UploadResult, receipt: Receipt, row: int | None
) -> None:
    path = job.request.receipt
    if path is None:
        return
    try:
        durable = write_receipt(path, receipt.text())
    except ReceiptError as error:
        kept = "It is kept in the journal: the same command with another --receipt writes it, too."
        lost = "It is not kept in the journal either."
        failure = ReceiptError(
            f"{job.request.name!r} is stored and right, but {error.message}",
            hint=lost if row is None else (kept, f"Or: ocihaul receipts show {row}"),
        )
        failure.result = result
        raise failure from error.__cause__
    if not durable:
        job.listener(Notice(UNSYNCED))
    if row is not None:
        memory.handed_over(row)
