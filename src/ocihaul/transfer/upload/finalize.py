"""The end of an upload: its receipt, in the journal and in its file."""

import time
from dataclasses import dataclass, replace

from ocihaul.errors import ReceiptError
from ocihaul.events import Notice
from ocihaul.filesystem import UNSYNCED
from ocihaul.transfer.receipt import (
    Receipt,
    read_receipt,
    receipt_parts,
    service_headers,
    write_receipt,
)
from ocihaul.transfer.source import Identity
from ocihaul.transfer.upload.context import UploadContext
from ocihaul.transfer.upload.request import UploadResult, encryption_of
from ocihaul.transfer.upload.state import UploadState


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What was sent: a file, or (without path and identity) a stream. `part_size` is bytes."""

    path: str | None
    identity: Identity | None
    part_size: int


def finalize(
    context: UploadContext, state: UploadState, source: SourceInfo, result: UploadResult
) -> UploadResult:
    """Keep the receipt in the journal and write it to its file; return the result with it.

    Raises ReceiptError (with the result) when the file cannot be written.
    """
    receipt = _receipt(context, state, source, result)
    result = replace(result, receipt=receipt)
    row = state.finish(receipt, owed=context.request.receipt is not None)
    _write_receipt_file(context, state, result, receipt, row)
    return result


def already_finished(
    context: UploadContext, state: UploadState, source: SourceInfo
) -> UploadResult | None:
    """The result of an earlier run that stored everything but could not write its receipt.

    None unless the file is the one that was sent then and the object is still that one.
    """
    if context.request.receipt is None or context.request.restart:
        return None
    kept = state.pending_receipt()
    if kept is None:
        return None
    owed, text = kept
    try:
        receipt = read_receipt(text, where="the journal's receipt")
    except ReceiptError:
        return None
    if receipt.identity != source.identity:
        return None
    there = context.remote.head_as_put_response(receipt.size)
    if there is None or there["etag"] != owed.etag:
        return None
    context.listener(Notice("The earlier run had finished; only its receipt was not written."))
    result = replace(
        context.result(
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
    _write_receipt_file(context, state, result, receipt, owed.row)
    return result


def _receipt(
    context: UploadContext, state: UploadState, source: SourceInfo, result: UploadResult
) -> Receipt:
    headers = result.headers
    return Receipt(
        path=source.path,
        identity=source.identity,
        size=result.size,
        target=state.target,
        etag=headers.get("etag", ""),
        version_id=headers.get("version-id"),
        upload_id=result.upload_id,
        encryption=encryption_of(context.request),
        part_size=source.part_size,
        parts=receipt_parts(result.parts),
        crc32c=result.crc32c,
        md5=result.md5,
        service=service_headers(headers),
        begun=state.entry.created_at if state.entry is not None else state.started_at,
        finished=time.time(),
        counts=state.counts if state.stats is not None else None,
    )


def _write_receipt_file(
    context: UploadContext,
    state: UploadState,
    result: UploadResult,
    receipt: Receipt,
    row: int | None,
) -> None:
    path = context.request.receipt
    if path is None:
        return
    try:
        durable = write_receipt(path, receipt.text())
    except ReceiptError as error:
        kept = "It is kept in the journal: the same command with another `receipt` writes it, too."
        lost = "It is not kept in the journal either."
        failure = ReceiptError(
            f"{context.request.name!r} is stored and right, but {error.message}",
            hint=lost if row is None else (kept, f"Or: ocihaul receipts show {row}"),
        )
        failure.result = result
        raise failure from error.__cause__
    if not durable:
        context.listener(Notice(UNSYNCED))
    if row is not None:
        state.mark_receipt_written(row)
