"""What faults and outages do to an exchange, apart from those at a byte of the request's body."""

import http
from collections.abc import Callable, Iterator

from ocihaul.emulator.call import Call
from ocihaul.emulator.faults import Fault
from ocihaul.emulator.log import Record
from ocihaul.emulator.responses import Answer, ApiError
from ocihaul.emulator.state import Service

_HTML = b"<html><head><title>Bad Gateway</title></head><body>proxy error</body></html>"
_GARBAGE = b"\x00\x15this is not HTTP\r\n\r\n"
_CODES = {
    400: "InvalidParameter",
    401: "NotAuthenticated",
    403: "NotAllowed",
    404: "NotAuthorizedOrNotFound",
    409: "IncorrectState",
    412: "NoEtagMatch",
    413: "RequestEntityTooLarge",
    429: "TooManyRequests",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}


class Cut(Exception):
    """The connection ends without (the rest of) an answer."""

    def __init__(self, *, reset: bool, garbage: bytes = b"") -> None:
        super().__init__("cut")
        self.reset = reset
        self.garbage = garbage


class ProxyPage(ApiError):
    """An answer in HTML, from something that is not the service."""

    def __init__(self, status: int) -> None:
        super().__init__(status, "HTML", "a page of HTML")

    def answer(self) -> Answer:
        """The page."""
        return Answer(status=self.status, headers={"content-type": "text/html"}, content=_HTML)


def outage(service: Service, record: Record, drain: Callable[[], None]) -> None:
    """How the auth service fails, when it is set to."""
    settings = service.settings
    if settings.refresh_outage is None:
        return
    record.fault = f"refresh-outage-{settings.refresh_outage}"
    drain()
    if settings.refresh_outage == "cut":
        raise Cut(reset=True)
    if settings.refresh_outage == "hang":
        service.closing.wait(settings.refresh_hang_seconds)
        raise Cut(reset=False)
    if settings.refresh_outage == "html":
        raise ProxyPage(503)
    status = int(settings.refresh_outage)
    raise ApiError(status, _CODES[status], "The auth service has a bad time")


def before_operation(
    service: Service, fault: Fault, record: Record, drain: Callable[[], None]
) -> None:
    """Answers that replace the operation; returns when the fault is of another kind."""
    replaces = fault.status is not None or fault.garbage or fault.html
    if not replaces or fault.early_at_byte is not None:
        return
    if not fault.early:
        drain()
    if fault.stall_seconds is not None and fault.stall_at_byte is None:
        service.closing.wait(fault.stall_seconds)
    fault.fire(record)
    raise planned_error(fault)


def planned_error(fault: Fault) -> Exception:
    """The answer that the fault stands for."""
    if fault.garbage:
        return Cut(reset=False, garbage=_GARBAGE)
    if fault.html:
        return ProxyPage(fault.status or 502)
    status = fault.status or 500
    headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
    code = fault.code or _CODES.get(status, "InternalServerError")
    message = fault.message or http.HTTPStatus(status).phrase
    return ApiError(status, code, message, detail=fault.label, headers=headers)


def after_operation(
    service: Service, call: Call, fault: Fault, record: Record, answer: Answer
) -> None:
    """What happens once the operation has had its effect, before its answer leaves."""
    if fault.rot_at_byte is not None and _rot(service, call, fault.rot_at_byte):
        fault.fire(record)
    before_answer(service, fault, record)
    if fault.corrupt_answer_checksum and _spoil_checksums(answer):
        fault.fire(record)


def before_answer(service: Service, fault: Fault, record: Record) -> None:
    """What keeps an answer back, also one that refuses: a stall, or a cut."""
    if fault.stall_seconds is not None and fault.stall_at_byte is None:
        fault.fire(record)
        service.closing.wait(fault.stall_seconds)
    if fault.cut_before_answer:
        fault.fire(record)
        raise Cut(reset=False)


def _rot(service: Service, call: Call, at: int) -> bool:
    with service.store.lock:
        stored = service.store.bucket(call.namespace, call.bucket).objects.get(call.name)
        return stored is not None and stored.blob.rot(at)


def _spoil_checksums(answer: Answer) -> bool:
    names = [
        name
        for name in answer.headers
        if name.startswith(("opc-content-", "opc-multipart-")) or name == "content-md5"
    ]
    for name in names:
        first = "B" if answer.headers[name].startswith("A") else "A"
        answer.headers[name] = first + answer.headers[name][1:]
    return bool(names)


def spoiled(
    service: Service, fault: Fault | None, record: Record, pieces: Iterator[bytes]
) -> Iterator[bytes]:
    """The bytes of a download, with what the fault does to them."""
    if fault is None:
        yield from pieces
        return
    spoil_at = 0 if fault.corrupt else fault.corrupt_at_byte
    pieces = _trickling(service, fault, record, pieces)
    marks = [
        mark for mark in (fault.stall_at_byte, fault.cut_at_byte, spoil_at) if mark is not None
    ]
    sent = 0
    for piece in _split(pieces, marks):
        _at_download_mark(service, fault, record, sent)
        if sent == spoil_at:
            fault.fire(record)
            yield bytes([piece[0] ^ (1 << sent % 8)]) + piece[1:]
        else:
            yield piece
        sent += len(piece)


def _trickling(
    service: Service, fault: Fault, record: Record, pieces: Iterator[bytes]
) -> Iterator[bytes]:
    """The same bytes, from the fault's mark on one by one, and slowly."""
    at = fault.trickle_at_byte
    if at is None:
        yield from pieces
        return
    sent = 0
    for piece in _split(pieces, [at]):
        if sent < at:
            yield piece
        else:
            fault.fire(record)
            for byte in piece:
                service.closing.wait(1 / fault.trickle_rate)
                yield bytes([byte])
        sent += len(piece)


def _at_download_mark(service: Service, fault: Fault, record: Record, sent: int) -> None:
    if fault.stall_at_byte == sent:
        fault.fire(record)
        service.closing.wait(fault.stall_seconds or 0)
    if fault.cut_at_byte == sent:
        fault.fire(record)
        raise Cut(reset=False)


def _split(pieces: Iterator[bytes], marks: list[int]) -> Iterator[bytes]:
    """The same bytes, with a boundary at each mark."""
    at = 0
    for piece in pieces:
        start = 0
        for mark in sorted(marks):
            if at + start < mark < at + len(piece):
                yield piece[start : mark - at]
                start = mark - at
        yield piece[start:]
        at += len(piece)
