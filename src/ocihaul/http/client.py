"""One call to the service, carried through expiry, throttling and broken connections."""

import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode

from ocihaul import __version__
from ocihaul.clock import ServerClock
from ocihaul.endpoints import Origin
from ocihaul.errors import NetworkError, OcihaulError, TransferCancelled
from ocihaul.events import AttemptFinished, Listener, Notice, RetryScheduled, ignore
from ocihaul.http.retry import (
    Action,
    RetryPolicy,
    classify,
    foreign,
    rejection_delay,
    retry_after,
    service_error,
)
from ocihaul.session.credential import Credential, CredentialProvider
from ocihaul.transport.message import (
    DOCUMENT_LIMIT,
    Answer,
    Body,
    Request,
    Sink,
    Stalled,
    Stopped,
    Unreachable,
    WireError,
)
from ocihaul.transport.pool import Pool
from ocihaul.transport.stall import MOST_REPLACEMENTS

#: Bodies above this announce themselves and wait for `100 Continue`, bytes: a refusal then costs
#: a round trip and not the body.
EXPECT_ABOVE = 2**20
#: How often a pause looks whether its call was abandoned, seconds.
_SLICE = 0.25
#: Answers from which it is concluded that something is not there, or is another.
_ABSENCES = frozenset({404, 412})
#: 401s that one call may meet; a service that rejects every new credential has another reason.
_MAX_REJECTIONS = 5


@dataclass(frozen=True, slots=True)
class ServiceCall:
    """One operation to be carried out: everything about a request but its signature.

    `path` is quoted already. A `document` is sent as signed JSON (bytes as they are), a `body` as
    object bytes. A `sink` takes the bytes of the answer; each attempt asks for what is missing in
    it. Once `abandoned` is set the call is not tried again. Events have `shown_as` for the path
    where that is a secret. `answer_limit` is the largest document that is expected, bytes.
    """

    operation: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    document: object = None
    body: bytes | Body | None = field(default=None, repr=False)
    sink: Sink | None = field(default=None, repr=False)
    abandoned: threading.Event | None = None
    shown_as: str | None = None
    answer_limit: int = DOCUMENT_LIMIT

    @property
    def target(self) -> str:
        """Path and query as they go on the wire and into the signature."""
        if not self.query:
            return self.path
        return f"{self.path}?{urlencode(self.query, quote_via=quote)}"


class _Deadline(threading.Event):
    """A stop that is set when its time has come; it needs no thread for that."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._at = time.monotonic() + seconds

    def is_set(self) -> bool:
        return time.monotonic() >= self._at

    def wait(self, timeout: float | None = None) -> bool:
        left = self._at - time.monotonic()
        # Nobody sets it before its time: there is nothing else to wait for.
        time.sleep(max(0.0, left if timeout is None else min(left, timeout)))
        return self.is_set()


@dataclass(slots=True)
class _Tally:
    """What one call has been through."""

    failures: int = 0
    first_failure: float = 0.0
    rejections: int = 0
    redated: bool = False
    unanswered: bool = False
    replaced: int = 0


class HttpClient:
    """Calls operations of one service. Thread-safe: it keeps no state between calls.

    `probe` is a cheap call that needs a valid credential: after a connection broke inside a body
    it tells whether the answer that was lost is a 401. `request_id` is the caller's own name for
    all requests: https://docs.oracle.com/iaas/api/#/en/objectstorage/20160918/Object/GetObject
    """

    def __init__(
        self,
        pool: Pool,
        credentials: CredentialProvider,
        clock: ServerClock,
        *,
        retry: RetryPolicy | None = None,
        listener: Listener = ignore,
        stop: threading.Event | None = None,
        probe: ServiceCall | None = None,
        chance: Callable[[], float] = random.random,
        request_id: str | None = None,
    ) -> None:
        self._pool = pool
        self._credentials = credentials
        self._clock = clock
        self._retry = retry or RetryPolicy()
        attempts = self._retry.max_attempts
        #: How many times a call whose body stalls may go on over another connection.
        self._replacements = (
            MOST_REPLACEMENTS if attempts is None else min(MOST_REPLACEMENTS, max(attempts, 1) - 1)
        )
        self._listener = listener
        self._stop = stop or threading.Event()
        self._probe = probe
        self._chance = chance
        self._request_id = request_id

    def open_ahead(self, origin: Origin, count: int) -> None:
        """Begin to open connections for calls that are to come; see `Pool.open_ahead`."""
        self._pool.open_ahead(origin, count)

    def call(self, origin: Origin, call: ServiceCall) -> Answer:
        """Carry out `call` and return its 2xx answer.

        Raises ServiceError for any other answer that stands, NetworkError when none came,
        SessionError when there is no credential any more, TransferCancelled when told to stop.
        """
        tally = _Tally()
        try:
            while True:
                may_replace = tally.replaced < self._replacements
                try:
                    with self._turn(call):
                        credential = self._credentials.credential(self._stop)
                        offset = self._clock.offset
                        answer = self._attempt(origin, call, credential, patient=not may_replace)
                except Stalled as error:
                    self._replace(call, error, tally)
                    continue
                except WireError as error:
                    self._after_break(origin, call, credential, error, tally)
                    continue
                tally.unanswered |= answer.resent
                redated = self._clock.observe(_service_date(answer), signed_with=offset)
                if self._settles(answer, call, credential, redated, tally):
                    again = tally.failures > 0 or tally.unanswered
                    return replace(answer, resent=True) if again else answer
        except Stopped:
            raise TransferCancelled("stopped while talking to the service") from None

    def _turn(self, call: ServiceCall) -> contextlib.AbstractContextManager[None]:
        """A large body waits for it under a limit: before it is signed, as that may take long."""
        body = call.body
        large = body is not None and not isinstance(body, bytes) and body.length > EXPECT_ABOVE
        return self._pool.turn() if large else contextlib.nullcontext()

    @contextlib.contextmanager
    def bounded(self, seconds: float) -> Iterator["HttpClient"]:
        """The same client for a last word: it does not hear the stop, but has only `seconds`."""
        stop = _Deadline(seconds)
        with self._pool.twin(stop) as pool:
            yield HttpClient(
                pool,
                self._credentials,
                self._clock,
                retry=self._retry,
                listener=self._listener,
                stop=stop,
                request_id=self._request_id,
            )

    def scoped(self, listener: Listener, stop: threading.Event) -> "HttpClient":
        """The same client over the same connections for one caller: its listener, its stop."""
        return HttpClient(
            self._pool.sharing(stop),
            self._credentials,
            self._clock,
            retry=self._retry,
            listener=listener,
            stop=stop,
            probe=self._probe,
            chance=self._chance,
            request_id=self._request_id,
        )

    def _settles(
        self,
        answer: Answer,
        call: ServiceCall,
        credential: Credential,
        redated: bool,
        tally: _Tally,
    ) -> bool:
        """True for success, False when the call is worth another attempt, else raises."""
        ours = "opc-request-id" in answer.headers
        if ours and 200 <= answer.status < 300:
            return True
        if not ours and answer.status < 400:
            self._pause(call, tally, foreign(answer, call.operation), None)
            return False
        if not ours and answer.status in _ABSENCES:
            raise foreign(answer, call.operation)
        failure = service_error(answer, call.operation)
        failure.after_retry = tally.failures > 0 or tally.unanswered
        action = classify(answer.status, failure.code)
        if action is Action.RETRY:
            wanted = retry_after(answer.headers, self._clock.now())
            self._pause(call, tally, failure, wanted)
        elif action is Action.FAIL or not self._mended(credential, call, redated, tally):
            raise failure
        return False

    def _mended(
        self,
        credential: Credential,
        call: ServiceCall,
        redated: bool,
        tally: _Tally,
    ) -> bool:
        """After a 401: whether there is something new to sign with, a date or a credential.

        A new date is the answer once: where the service's clocks differ from each other, it would
        be the answer for ever, and the session never hear of its rejected token.
        """
        tally.rejections += 1
        if tally.rejections > _MAX_REJECTIONS:
            return False
        if redated and not tally.redated:
            tally.redated = True
        elif not self._credentials.handle_unauthorized(credential, call.operation, self._stop):
            return False
        return self._wait(call, rejection_delay(tally.rejections, self._chance()))

    def _after_break(
        self,
        origin: Origin,
        call: ServiceCall,
        credential: Credential,
        error: WireError,
        tally: _Tally,
    ) -> None:
        tally.unanswered = True
        if error.body_sent and self._was_rejected(origin, credential):
            if not self._mended(credential, call, redated=False, tally=tally):
                raise NetworkError(f"{call.operation}: {error}") from error
            return
        if error.body_received:
            tally.failures = 0  # it came further than the attempt before
        tried = f" after {tally.failures + 1} attempts" if tally.failures else ""
        failure = NetworkError(
            f"{call.operation}: {error}{tried}",
            hint=f"Check the network between this machine and {origin}, proxies included.",
        )
        failure.__cause__ = error
        self._pause(call, tally, failure, None)

    def _replace(self, call: ServiceCall, error: Stalled, tally: _Tally) -> None:
        """The next attempt is made at once: the network is there, one connection is of no use."""
        tally.unanswered = True
        tally.replaced += 1
        where = call.shown_as or call.target
        text = f"{call.operation} {where}: {error}; going on over another connection"
        self._listener(Notice(f"{text} ({tally.replaced} of {self._replacements} times)."))

    def _was_rejected(self, origin: Origin, credential: Credential) -> bool:
        """Ask with a call that costs nothing before a whole body is sent again."""
        if self._probe is None or self._credentials.credential(self._stop) is not credential:
            return False
        try:
            answer = self._attempt(origin, self._probe, credential)
        except WireError:
            return False  # the network is what is broken
        return answer.status == 401

    def _pause(
        self, call: ServiceCall, tally: _Tally, failure: OcihaulError, wanted: float | None
    ) -> None:
        """Wait before the next attempt, or raise `failure` when there have been enough."""
        now = self._clock.monotonic()
        if not tally.failures:
            tally.first_failure = now
        tally.failures += 1
        unreachable = isinstance(failure.__cause__, Unreachable)
        since = now - tally.first_failure
        if self._retry.gives_up(tally.failures, since, unreachable=unreachable):
            raise failure
        delay = self._retry.delay(tally.failures, self._chance(), wanted)
        self._listener(RetryScheduled(call.operation, tally.failures, delay, failure.message))
        if not self._wait(call, delay):
            raise failure

    def _wait(self, call: ServiceCall, delay: float) -> bool:
        """Let `delay` seconds pass; False when the call was abandoned meanwhile."""
        deadline = time.monotonic() + delay
        while (left := deadline - time.monotonic()) > 0:
            if call.abandoned is not None and call.abandoned.is_set():
                return False
            if self._stop.wait(min(left, _SLICE)):
                raise Stopped
        return True

    def _attempt(
        self, origin: Origin, call: ServiceCall, credential: Credential, *, patient: bool = True
    ) -> Answer:
        """Sign and send once; whatever comes of it is an event."""
        request = self._signed(origin, call, credential, patient=patient)
        started = time.monotonic()

        def finished(
            status: int | None,
            error: str | None,
            request_id: str | None,
            moved: Answer | WireError,
        ) -> None:
            self._listener(
                AttemptFinished(
                    operation=call.operation,
                    method=call.method,
                    path=call.shown_as or request.target,
                    status=status,
                    error=error,
                    opc_request_id=request_id,
                    seconds=time.monotonic() - started,
                    generation=credential.generation,
                    body_sent=moved.body_sent,
                    body_received=moved.body_received,
                    connection=moved.connection,
                    stalled=isinstance(moved, Stalled),
                )
            )

        try:
            answer = exchange(self._pool, origin, request)
        except WireError as error:
            finished(None, str(error), None, error)
            raise
        finished(answer.status, None, answer.headers.get("opc-request-id"), answer)
        return answer

    def _signed(
        self, origin: Origin, call: ServiceCall, credential: Credential, *, patient: bool
    ) -> Request:
        target = call.target
        document = _encoded(call.document)
        headers = {
            **credential.sign(
                method=call.method,
                target=target,
                host=origin.host_header,
                date=self._clock.http_date(),
                json_body=document,
            ),
            "accept": "application/json",
            "user-agent": f"ocihaul/{__version__}",
            "opc-request-id": os.urandom(16).hex().upper(),
            "opc-client-retries": "true",
        }
        if self._request_id is not None:
            headers["opc-client-request-id"] = self._request_id
        if call.body is not None:
            headers["content-type"] = "application/octet-stream"
            length = len(call.body) if isinstance(call.body, bytes) else call.body.length
            headers["content-length"] = str(length)
            if length > EXPECT_ABOVE:
                headers["expect"] = "100-continue"
        headers |= call.headers
        if call.sink is not None:
            headers |= call.sink.wanted()
        body = document or call.body
        return Request(call.method, target, headers, body, call.sink, call.answer_limit, patient)


def exchange(pool: Pool, origin: Origin, request: Request) -> Answer:
    """Send the request once and return its answer, whatever it is.

    An idle connection that the server had closed does not count as a try: the request goes out
    again at once on a new one, and its answer says so. Raises WireError when there is no answer,
    and what `Pool.connection` raises.
    """
    request = pool.routed(origin, request)
    try:
        with pool.connection(origin) as connection:
            return pool.checked(origin, connection.exchange(request))
    except WireError as error:
        if not error.stale:  # a new connection never is
            raise
    with pool.connection(origin, new=True) as connection:
        return replace(pool.checked(origin, connection.exchange(request)), resent=True)


def _encoded(document: object) -> bytes | None:
    """A document as it is signed; bytes are the body of an operation that has none, or no JSON."""
    if document is None or isinstance(document, bytes):
        return document
    return json.dumps(document).encode()


def _service_date(answer: Answer) -> str | None:
    """The answer's Date, if the service wrote it: a proxy's page may carry the proxy's clock."""
    return answer.headers.get("date") if "opc-request-id" in answer.headers else None
