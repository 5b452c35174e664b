"""One request from head to answer: what comes in which order, and how the connection goes on.

The order is the service's: what can be known from the headers is answered from the headers;
the body is read when a handler asks for it.

A body is taken in with 100 Continue, pacing, the faults that sit at a byte, and the signed hash.
"""

import base64
import hashlib
from collections.abc import Callable
from email.utils import formatdate

import h11

from ocihaul.emulator.call import Call, Wire, find
from ocihaul.emulator.fault_effects import (
    Cut,
    after_operation,
    before_answer,
    before_operation,
    outage,
    planned_error,
    spoiled,
)
from ocihaul.emulator.faults import Fault
from ocihaul.emulator.handlers import OPERATIONS
from ocihaul.emulator.handlers.auth import admit, recheck
from ocihaul.emulator.handlers.common import request_id
from ocihaul.emulator.handlers.objects import bytes_asked_for
from ocihaul.emulator.log import Record, masked, without_secrets
from ocihaul.emulator.responses import Answer, ApiError, not_authenticated
from ocihaul.emulator.state import Service, Throttle


class ClientGone(Exception):
    """The client closed before its body was complete."""


class BodyReader:
    """The body of one request; `fault` may be set until `receive` is called."""

    def __init__(
        self, service: Service, wire: Wire, call: Call, record: Record, buffer: bytearray
    ) -> None:
        self.fault: Fault | None = None
        self._service = service
        self._wire = wire
        self._call = call
        self._record = record
        self._buffer = memoryview(buffer)
        self._marks: list[tuple[int, Callable[[Fault], None]]] = []
        self._trickle: float | None = None
        self._throttle = Throttle(service.closing)  # of this connection alone

    def receive(self, write: Callable[[memoryview], object]) -> None:
        """Read the whole body into `write`."""
        self._continue()
        self._wire.set_timeout(self._service.settings.body_timeout)
        self._marks = self._plan()
        hasher = hashlib.sha256() if self._call.body_signed else None
        record = self._record
        while True:
            self._at_mark()
            if record.body_received >= record.body_expected:
                break
            chunk = self._read()
            self._corrupt(chunk)
            if hasher is not None:
                hasher.update(chunk)
            write(chunk)
        if hasher is not None:
            self._check_hash(hasher.digest())

    def drain(self) -> None:
        """Read what is left and throw it away."""
        while self._record.body_received < self._record.body_expected:
            self._read()

    def _continue(self) -> None:
        settings = self._service.settings
        if not self._record.expected_100 or settings.ignore_expect:
            return
        if settings.continue_delay is not None:
            self._service.closing.wait(settings.continue_delay)
        self._wire.send_continue()
        self._record.sent_100 = True

    def _read(self) -> memoryview:
        """The next bytes, none beyond the next mark."""
        record, settings, throttle = self._record, self._service.settings, self._service.throttle
        rate = settings.bandwidth
        if settings.connection_bandwidth is not None:
            rate, throttle = settings.connection_bandwidth, self._throttle
        room = min(
            len(self._buffer),
            throttle.chunk(rate),
            record.body_expected - record.body_received,
        )
        if self._marks:
            room = min(room, self._marks[0][0] - record.body_received)
        if self._trickle is not None:
            room = min(room, 1)
            self._service.closing.wait(1 / self._trickle)
        size = self._wire.read_into(self._buffer[:room])
        if size == 0:
            raise ClientGone("the client closed in the middle of the body")
        record.body_received += size
        if rate is not None:
            throttle.spent(size, rate)
        return self._buffer[:size]

    # --- faults

    def _plan(self) -> list[tuple[int, Callable[[Fault], None]]]:
        fault = self.fault
        if fault is None:
            return []
        marks = [
            (fault.stall_at_byte, self._stall),
            (fault.early_at_byte, self._answer_early),
            (fault.cut_at_byte, self._cut),
            (fault.trickle_at_byte, self._slow_down),
        ]
        return sorted(
            ((at, effect) for at, effect in marks if at is not None), key=lambda mark: mark[0]
        )

    def _at_mark(self) -> None:
        while self.fault and self._marks and self._marks[0][0] <= self._record.body_received:
            _, effect = self._marks.pop(0)
            effect(self.fault)

    def _stall(self, fault: Fault) -> None:
        fault.fire(self._record)
        self._service.closing.wait(fault.stall_seconds or 0)

    def _slow_down(self, fault: Fault) -> None:
        fault.fire(self._record)
        self._trickle = fault.trickle_rate

    def _answer_early(self, fault: Fault) -> None:
        fault.fire(self._record)
        raise planned_error(fault)

    def _cut(self, fault: Fault) -> None:
        fault.fire(self._record)
        raise Cut(reset=True)

    def _corrupt(self, chunk: memoryview) -> None:
        fault = self.fault
        if fault is None or self._record.fault is not None:
            return
        at = 0 if fault.corrupt else fault.corrupt_at_byte
        start = self._record.body_received - len(chunk)
        if at is not None and start <= at < self._record.body_received:
            chunk[at - start] ^= 1 << at % 8
            fault.fire(self._record)

    def _check_hash(self, digest: bytes) -> None:
        if base64.b64encode(digest).decode() != self._call.headers.get("x-content-sha256"):
            raise not_authenticated("x-content-sha256 is not that of the body")


#: What Object Storage tells in every answer.
_API_HEADERS = {
    "x-api-id": "native",
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST,PUT,GET,HEAD,DELETE,OPTIONS",
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "etag,opc-client-request-id,opc-request-id,x-api-id",
}


class ConnectionHandler:
    """One request on one connection."""

    def __init__(
        self, service: Service, wire: Wire, request: h11.Request, connection: int, buffer: bytearray
    ) -> None:
        self._service = service
        self._wire = wire
        headers = _headers(request)
        self._chunked = "transfer-encoding" in headers
        self._call = Call(
            method=request.method.decode(),
            target=request.target.decode("latin-1"),
            headers=headers,
            content_length=int(headers.get("content-length", "0")),
            receive=self._receive,
        )
        self._operation, parameters = find(OPERATIONS, self._call.method, self._call.path, headers)
        self._call.parameters.update(parameters)
        self._keep_alive = (
            request.http_version == b"1.1" and headers.get("connection", "").lower() != "close"
        )
        self._early_fault: Fault | None = None
        self._fault: Fault | None = None
        self._cleanup: Callable[[], None] | None = None
        self._record = self._open_record(connection)
        self._body = BodyReader(service, wire, self._call, self._record, buffer)

    def _open_record(self, connection: int) -> Record:
        call = self._call
        number = call.query.get("uploadPartNum") or call.parameters.get("part", "")
        return Record(
            sequence=self._service.log.next_sequence(),
            connection=connection,
            operation=self._operation.name if self._operation else "Unknown",
            method=call.method,
            path=masked(call.path),
            query=dict(call.query),
            headers=without_secrets(call.headers),
            body_expected=call.content_length,
            part_number=int(number) if number.isdecimal() else None,
            upload_id=call.query.get("uploadId") or call.parameters.get("upload"),
            expected_100=call.headers.get("expect", "").lower() == "100-continue",
        )

    def run(self) -> bool:
        """Answer; True when the connection can carry another request."""
        try:
            try:
                answer = self._attend()
            except ApiError as error:
                self._record.error_code = error.code
                self._record.error_detail = error.detail or error.message
                answer = error.answer()
            return self._send(answer)
        except Cut as cut:
            self._service.log.show(self._record)
            if cut.garbage:
                self._wire.send_raw(cut.garbage)
            if cut.reset:
                self._wire.reset()
            return False
        except (ClientGone, OSError) as error:
            self._record.error_detail = self._record.error_detail or f"connection lost: {error}"
            return False
        finally:
            if self._cleanup is not None:
                self._cleanup()
            self._service.log.finish(self._record)

    def _attend(self) -> Answer:
        try:
            return self._operate()
        except ApiError:
            record, late = self._record, not self._service.settings.answers_early
            if late and self._fault is None and record.body_received < record.body_expected:
                self._body.receive(lambda _chunk: None)
            raise

    def _operate(self) -> Answer:
        operation, service = self._operation, self._service
        service.settle()
        if not service.rate.admits(service.settings.rate_limit):
            raise ApiError(429, "TooManyRequests", "Too many requests for the tenant")
        if self._chunked:
            raise ApiError(411, "MissingContentLength", "The content-length header is missing")
        if operation is None:
            raise ApiError(404, "NotFound", "There is no such operation")
        self._begin_with_fault(operation.name)
        if operation.name == "RefreshToken":
            outage(service, self._record, self._drain)
        admit(service, operation, self._call, self._record, self._now())
        self._fault = self._take_fault(operation.name) or self._draw_fault()
        self._body.fault = self._fault
        if self._fault is not None:
            before_operation(service, self._fault, self._record, self._drain)
        try:
            answer = operation.handler(service, self._call)
        except ApiError as error:
            self._record.error_code = error.code
            if self._fault is not None and self._body_is_here:
                before_answer(service, self._fault, self._record)
            raise
        self._cleanup = answer.cleanup
        if self._fault is not None:
            after_operation(service, self._call, self._fault, self._record, answer)
        return answer

    def _begin_with_fault(self, operation: str) -> None:
        """What goes wrong before the signature is looked at."""
        fault = self._early_fault = self._take_fault(operation, before_authentication=True)
        if fault is not None:
            fault.fire(self._record)
            if fault.revoke:
                self._service.auth.revoke_all(refreshable=True)

    @property
    def _body_is_here(self) -> bool:
        return self._record.body_received == self._record.body_expected

    def _take_fault(self, operation: str, *, before_authentication: bool = False) -> Fault | None:
        signatory = self._call.signatory
        return self._service.faults.take(
            operation,
            part_number=self._record.part_number,
            object_name=self._call.name or None,
            token=signatory.token.text if signatory and signatory.token else None,
            before_authentication=before_authentication,
        )

    def _draw_fault(self) -> Fault | None:
        size = self._call.content_length
        if self._record.operation == "GetObject":
            size = bytes_asked_for(self._service, self._call)
        return self._service.random_faults.draw(self._record.operation, size)

    def _now(self) -> float:
        fault = self._early_fault
        return self._service.now() + ((fault.clock_offset or 0.0) if fault else 0.0)

    def _drain(self) -> None:
        self._receive(lambda _chunk: None)

    def _receive(self, write: Callable[[memoryview], object]) -> None:
        self._body.receive(write)
        again = self._service.settings.check_token_at == "end"  # noqa: S105 - not a password
        if again and self._call.signatory is not None:
            recheck(self._service, self._call, self._now())

    # --- the answer

    def _send(self, answer: Answer) -> bool:
        record, settings = self._record, self._service.settings
        fault = self._fault
        unread = record.body_expected - record.body_received
        forced = fault is not None and fault.close and record.fault == fault.label
        patient = not forced and (not settings.early_close or (fault is not None and fault.drain))
        # It is not known whether a client that waits for 100 will send the body after an error.
        lingering = patient and unread > 0 and record.expected_100 and not record.sent_100
        drains = patient and unread > 0 and not lingering
        keep = self._keep_alive and not forced and not self._chunked and (unread == 0 or drains)
        self._write(answer, announce=not keep and settings.announce_close)
        if lingering:
            record.body_received += self._wire.linger(settings.linger_seconds, settings.drain_limit)
        if drains:
            if unread > settings.drain_limit:
                return False
            self._body.drain()
        return keep

    def _write(self, answer: Answer, *, announce: bool) -> None:
        headers = {"date": formatdate(self._now(), usegmt=True), "opc-request-id": request_id()}
        if self._call.path.startswith(("/n", "/p/", "/workRequests")):
            headers |= _API_HEADERS
        headers |= answer.headers
        if not self._tells_request_id(answer.status):
            del headers["opc-request-id"]
        if "opc-client-request-id" in self._call.headers:
            headers["opc-client-request-id"] = self._call.headers["opc-client-request-id"]
        is_head = self._call.method == "HEAD"
        if answer.status not in (204, 304):
            length = answer.length
            if length is None:
                length = 0 if is_head else len(answer.content)
            headers["content-length"] = str(length)
        if announce:
            headers["connection"] = "close"
        self._record.status = answer.status
        self._service.log.show(self._record)
        content = b"" if is_head else answer.content
        self._record.body_sent = len(content)
        self._wire.send_head(answer.status, headers, content)
        if answer.stream is not None:
            for piece in spoiled(self._service, self._fault, self._record, answer.stream):
                self._send_piece(memoryview(piece))

    def _tells_request_id(self, status: int) -> bool:
        without = self._service.settings.no_request_id
        if self._call.method == "HEAD" and "head" in without:
            return False
        return not (status == 206 and "206" in without)

    def _send_piece(self, piece: memoryview) -> None:
        """In small steps where the bandwidth is limited, so that it flows evenly.

        Bytes count before they go out: whoever has them may look at the log at once.
        """
        service, rate = self._service, self._service.settings.answer_bandwidth
        step = service.throttle.chunk(rate)
        for start in range(0, len(piece), step):
            part = piece[start : start + step]
            self._record.body_sent += len(part)
            try:
                self._wire.send_raw(part)
            except OSError:
                self._record.body_sent -= len(part)
                raise
            if rate is not None:
                service.throttle.spent(len(part), rate)


def _headers(request: h11.Request) -> dict[str, str]:
    """Lower-case names; repeated ones are joined, as the signature sees them."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
