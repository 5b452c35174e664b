"""Clocks that jump while requests are under way: a date mends a refusal, but only its own."""

import threading
from contextlib import nullcontext
from email.utils import formatdate

import pytest

from ocihaul.clock import ServerClock
from ocihaul.endpoints import Origin
from ocihaul.errors import ServiceError
from ocihaul.http.client import HttpClient, ServiceCall
from ocihaul.session.credential import ApiKey, Credential, SessionToken
from ocihaul.session.policy import Failed, Renewed
from ocihaul.session.providers import AuthService, RefreshProvider
from ocihaul.threads import StopSign
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import Answer, Request
from ocihaul.transport.pool import Pool
from tests.support import NOW, Hand, make_token, rsa_key

ORIGIN = Origin.parse("http://service.test")
HOUR = 3600.0
#: What tells an answer of the service from a page of a proxy.
OURS = {"opc-request-id": "x"}


class Service:
    """A pool whose answers a test makes; counts them."""

    def __init__(self, clock: ServerClock) -> None:
        self.clock = clock
        self.dates: list[str] = []

    def answer(self, request: Request) -> Answer:
        raise NotImplementedError

    def exchange(self, request: Request) -> Answer:
        self.dates.append(request.headers["date"])
        return self.answer(request)


class AheadByAnHour(Service):
    """Refuses wrong dates; while the first request is under way, another thread learns why."""

    def answer(self, request: Request) -> Answer:
        right = formatdate(NOW + HOUR, usegmt=True)
        if len(self.dates) == 1:
            self.clock.observe(right)
        good = request.headers["date"] == formatdate(NOW + HOUR + 0.5, usegmt=True)
        token = make_token(rsa_key(), iat=NOW + HOUR, exp=NOW + 2 * HOUR)
        body = b'{"token": "%s"}' % token.encode() if good else b'{"code": "NotAuthenticated"}'
        return Answer(200 if good else 401, {"date": right, **OURS}, body, 0)


class Flapping(Service):
    """Two clocks ten minutes apart take turns, and the credential is not accepted."""

    def answer(self, request: Request) -> Answer:
        date = formatdate(NOW + 600 * (len(self.dates) % 2), usegmt=True)
        return Answer(401, {"date": date, **OURS}, b"", 0)


class Page(Service):
    """A proxy's page, with the clock of the proxy."""

    def answer(self, request: Request) -> Answer:
        date = formatdate(NOW + HOUR, usegmt=True)
        return Answer(401, {"date": date}, b"<html>Who are you?</html>", 0)


class Counting(ApiKey):
    """A credential provider without another credential."""

    def __init__(self) -> None:
        super().__init__(rsa_key(), tenancy="t", user="u", fingerprint="f")
        self.rejections = 0

    def handle_unauthorized(
        self, credential: Credential, operation: str, cancel: StopSign | None = None
    ) -> bool:
        self.rejections += 1
        return super().handle_unauthorized(credential, operation, cancel)


def client(service: Service, authority: Counting) -> HttpClient:
    pool = Pool(Dialer(environ={}))
    pool.connection = lambda _origin, **_: nullcontext(service)  # type: ignore[method-assign, assignment]  # the double of the wire
    return HttpClient(pool, authority, service.clock, stop=threading.Event())


def test_a_date_that_another_thread_has_mended_is_worth_another_try() -> None:
    service = AheadByAnHour(ServerClock(wall=Hand(), monotonic=Hand()))
    authority = Counting()
    answer = client(service, authority).call(ORIGIN, ServiceCall("GetNamespace", "GET", "/n"))
    assert answer.status == 200
    assert len(service.dates) == 2
    assert authority.rejections == 0, "the key was never the reason"


def test_a_refresh_whose_date_another_thread_has_mended_is_not_refused() -> None:
    service = AheadByAnHour(ServerClock(wall=Hand(), monotonic=Hand()))
    token = SessionToken.parse(make_token(rsa_key(), exp=NOW + HOUR + 60))
    refresh = RefreshProvider(
        AuthService(ORIGIN, lambda _, request, __: service.exchange(request), service.clock)
    )
    outcome = refresh(Credential.of_token(rsa_key(), token, 1), 1.0)
    assert isinstance(outcome, Renewed)
    assert len(service.dates) == 2


def test_dates_that_flap_do_not_keep_a_rejection_from_the_session() -> None:
    service = Flapping(ServerClock(wall=Hand(), monotonic=Hand()))
    authority = Counting()
    with pytest.raises(ServiceError) as caught:
        client(service, authority).call(ORIGIN, ServiceCall("GetNamespace", "GET", "/n"))
    assert caught.value.status == 401
    assert authority.rejections == 1
    assert len(service.dates) == 2


def test_the_page_of_a_proxy_does_not_move_the_clock() -> None:
    service = Page(ServerClock(wall=Hand(), monotonic=Hand()))
    with pytest.raises(ServiceError):
        client(service, Counting()).call(ORIGIN, ServiceCall("GetNamespace", "GET", "/n"))
    assert service.clock.offset == 0


def test_the_page_of_a_proxy_before_the_auth_service_does_not_move_the_clock() -> None:
    service = Page(ServerClock(wall=Hand(), monotonic=Hand()))
    refresh = RefreshProvider(
        AuthService(ORIGIN, lambda _, request, __: service.exchange(request), service.clock)
    )
    token = SessionToken.parse(make_token(rsa_key()))
    assert isinstance(refresh(Credential.of_token(rsa_key(), token, 1), 1.0), Failed)
    assert service.clock.offset == 0
    assert len(service.dates) == 1


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 2026 00:00:00 +99999999999999999999", "Mon, 01 Jan 0100 00:00:00 -0000"]
)
def test_a_date_out_of_this_world_is_no_date(date: str) -> None:
    clock = ServerClock(wall=Hand(), monotonic=Hand())
    clock.observe(date)
    assert abs(clock.offset) < 1e12
