"""A service that takes a while to accept a new token: the tries are spaced, and can be stopped."""

import threading
import time
from contextlib import nullcontext

import pytest

from ocihaul.clock import ServerClock
from ocihaul.endpoints import Origin
from ocihaul.errors import ServiceError, TransferCancelled
from ocihaul.http.client import HttpClient, ServiceCall
from ocihaul.session.credential import ApiKey, Credential
from ocihaul.threads import StopSign
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import Answer, Request
from ocihaul.transport.pool import Pool
from tests.support import rsa_key

ORIGIN = Origin.parse("http://service.test")
PROBE = ServiceCall("GetNamespace", "GET", "/n")


class Renewing(ApiKey):
    """A credential provider that always has another credential."""

    def __init__(self) -> None:
        super().__init__(rsa_key(), tenancy="t", user="u", fingerprint="f")

    def handle_unauthorized(
        self, credential: Credential, operation: str, cancel: StopSign | None = None
    ) -> bool:
        return True


class Rig:
    """A client whose requests are answered 401 for the first `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.stop = threading.Event()
        self.tries: list[float] = []
        self.ready_at = time.monotonic() + seconds
        pool = Pool(Dialer(environ={}))
        pool.connection = lambda _origin, **_: nullcontext(self)  # type: ignore[method-assign, assignment]  # the double of the wire
        clock = ServerClock()
        self.client = HttpClient(pool, Renewing(), clock, stop=self.stop, chance=lambda: 1.0)

    def exchange(self, _request: Request) -> Answer:
        self.tries.append(time.monotonic())
        status = 200 if self.tries[-1] >= self.ready_at else 401
        return Answer(status, {"opc-request-id": "r"}, b"", 0)


def test_a_service_that_takes_a_second_to_accept_a_token_is_waited_for() -> None:
    rig = Rig(1.0)
    assert rig.client.call(ORIGIN, PROBE).status == 200
    assert len(rig.tries) == 4
    assert rig.tries[1] - rig.tries[0] < 0.4, "the first is mended at once"


def test_the_pause_between_rejections_can_be_stopped() -> None:
    rig = Rig(1000.0)
    threading.Timer(0.2, rig.stop.set).start()
    started = time.monotonic()
    with pytest.raises(TransferCancelled):
        rig.client.call(ORIGIN, PROBE)
    assert time.monotonic() - started < 5.0


def test_a_call_that_is_abandoned_in_the_pause_ends_with_its_rejection() -> None:
    rig, abandoned = Rig(1000.0), threading.Event()
    threading.Timer(0.2, abandoned.set).start()
    with pytest.raises(ServiceError):
        rig.client.call(ORIGIN, ServiceCall("UploadPart", "PUT", "/x", abandoned=abandoned))
    assert len(rig.tries) <= 3
