"""A 401 mended inside the call, with doubles of what `requests` hands over."""

import io
from dataclasses import dataclass, field
from typing import Any

import pytest

from ocihaul.clock import ServerClock
from ocihaul.errors import SessionExpiredError
from ocihaul.integrations.auth_retry import MAX_REJECTIONS, sign_and_watch
from ocihaul.session.credential import Credential
from ocihaul.threads import StopSign
from tests.support import rsa_key

OTHER_TIME = {"date": "Fri, 07 Nov 2036 10:53:27 GMT", "opc-request-id": "x"}


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, which take no time here."""
    slept: list[float] = []
    monkeypatch.setattr("ocihaul.integrations.auth_retry.time.sleep", slept.append)
    return slept


@dataclass
class Ledger:
    """A credential provider that counts; `renewals` is how many new credentials it has left."""

    renewals: int = 10
    over: bool = False
    generation: int = 1
    reported: list[tuple[int, str]] = field(default_factory=list)

    def credential(self, cancel: StopSign | None = None) -> Credential:
        return Credential(rsa_key(), f"key-{self.generation}", self.generation)

    def handle_unauthorized(
        self, credential: Credential, operation: str, cancel: StopSign | None = None
    ) -> bool:
        self.reported.append((credential.generation, operation))
        if self.over:
            raise SessionExpiredError("over")
        if credential.generation == self.generation:
            if not self.renewals:
                return False
            self.renewals -= 1
            self.generation += 1
        return True


@dataclass
class Request:
    body: Any = None
    method: str = "PUT"
    url: str = "https://host/n/ns/b/x?secret=1"
    headers: dict[str, str] = field(default_factory=dict)
    hooks: list[Any] = field(default_factory=list)

    def register_hook(self, event: str, hook: Any) -> None:
        assert event == "response"
        self.hooks.append(hook)

    def copy(self) -> "Request":
        return Request(self.body, self.method, self.url, dict(self.headers), list(self.hooks))


@dataclass
class Wire:
    """The adapter: answers the given statuses in turn, and keeps what was sent."""

    statuses: list[int]
    sent: list[tuple[str, bytes | None]] = field(default_factory=list)
    settings: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, request: Request, **settings: Any) -> "Response":
        body = request.body.read() if hasattr(request.body, "read") else request.body
        self.sent.append((request.headers["authorization"], body))
        self.settings.append(settings)
        return Response(self.statuses.pop(0), request, self)


@dataclass
class Response:
    status_code: int
    request: Request
    connection: Wire
    content: bytes = b"{}"
    closed: bool = False

    @property
    def headers(self) -> dict[str, str]:
        return self.connection.headers

    def close(self) -> None:
        self.closed = True


def sign(request: Request, credential: Credential) -> None:
    request.headers["authorization"] = credential.key_id


def call(wire: Wire, authority: Ledger, body: Any = None, **headers: str) -> Response:
    """What `requests` does with an authentication scheme."""
    request = Request(body, headers=headers)
    sign_and_watch(request, authority, ServerClock(), sign)
    response = wire.send(request, timeout=7)
    for hook in request.hooks:
        response = hook(response, timeout=7)
    return response


def test_an_answer_that_is_no_401_is_left_alone() -> None:
    wire, authority = Wire([503]), Ledger()
    assert call(wire, authority).status_code == 503
    assert (len(wire.sent), authority.reported) == (1, [])


def test_a_401_is_sent_again_with_the_renewed_credential() -> None:
    wire, authority = Wire([401, 200]), Ledger()
    assert call(wire, authority, b"body").status_code == 200
    assert wire.sent == [("key-1", b"body"), ("key-2", b"body")]
    assert authority.reported == [(1, "PUT /n/ns/b/x")]
    assert wire.settings == [{"timeout": 7}] * 2


def test_the_credential_that_signed_is_the_one_reported() -> None:
    wire, authority = Wire([401, 200]), Ledger()
    request = Request(b"")
    sign_and_watch(request, authority, ServerClock(), sign)
    response = wire.send(request)
    authority.generation = 4  # meanwhile others have renewed
    assert request.hooks[0](response).status_code == 200
    assert authority.reported == [(1, "PUT /n/ns/b/x")]
    assert authority.renewals == 10
    assert wire.sent[1][0] == "key-4"


def test_a_file_is_rewound_to_where_it_began() -> None:
    file = io.BytesIO(b"not this|but this")
    file.seek(9)
    wire = Wire([401, 401, 200])
    assert call(wire, Ledger(), file).status_code == 200
    assert [body for _, body in wire.sent] == [b"but this"] * 3


def test_a_pipe_keeps_its_401_but_the_session_hears_of_it() -> None:
    class Pipe(io.BytesIO):
        def tell(self) -> int:
            raise OSError("a pipe")

    wire, authority = Wire([401]), Ledger()
    assert call(wire, authority, Pipe(b"once")).status_code == 401
    assert authority.generation == 2


def test_a_service_that_rejects_everything_is_asked_a_few_times() -> None:
    wire = Wire([401] * 100)
    assert call(wire, Ledger(renewals=100)).status_code == 401
    assert len(wire.sent) == 1 + MAX_REJECTIONS


def test_an_authority_without_another_credential_lets_the_401_stand() -> None:
    wire = Wire([401])
    response = call(wire, Ledger(renewals=0))
    assert (response.status_code, response.closed) == (401, True)


def test_a_session_that_is_over_says_so() -> None:
    with pytest.raises(SessionExpiredError):
        call(Wire([401]), Ledger(over=True))


def test_a_401_for_the_date_is_mended_by_the_date_once() -> None:
    wire, authority = Wire([401, 401, 200], headers=OTHER_TIME), Ledger()
    assert call(wire, authority).status_code == 200
    # The first was for the date, the second must have another reason.
    assert [key for key, _ in wire.sent] == ["key-1", "key-1", "key-2"]


def test_a_proxys_date_is_not_the_services() -> None:
    wire, authority = Wire([401, 200], headers={"date": OTHER_TIME["date"]}), Ledger()
    assert call(wire, authority).status_code == 200
    assert len(authority.reported) == 1


def test_the_first_401_is_mended_at_once_and_later_ones_wait(pauses: list[float]) -> None:
    call(Wire([401] * 100), Ledger(renewals=100))
    assert pauses[0] == 0
    assert len(pauses) == MAX_REJECTIONS
    assert sum(pauses) > 0


def test_a_date_of_the_callers_stays() -> None:
    wire, authority = Wire([401, 200], headers=OTHER_TIME), Ledger()
    response = call(wire, authority, date="mine")
    assert response.request.headers["date"] == "mine"
    assert len(authority.reported) == 1


def test_a_part_reader_that_counts_is_set_back() -> None:
    """As the SDK's: it stops at its size by a count of its own, which a seek leaves alone."""

    class Part(io.BytesIO):
        bytes_read = 0

        def read(self, n: int | None = -1) -> bytes:
            data = b"" if self.bytes_read >= 4 else super().read(n)
            self.bytes_read += len(data)
            return data

    part = Part(b"part")
    wire = Wire([401, 200])
    assert call(wire, Ledger(), part).status_code == 200
    assert [body for _, body in wire.sent] == [b"part", b"part"]
    # And for the SDK's own retries, which seek and sign anew.
    part.seek(0)
    assert part.bytes_read == 4
    sign_and_watch(Request(part), Ledger(), ServerClock(), sign)
    assert part.bytes_read == 0
