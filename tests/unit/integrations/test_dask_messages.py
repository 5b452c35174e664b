"""What owner and workers of a shared session say to each other, and when a worker asks."""

import pickle
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ocihaul.errors import (
    CredentialError,
    NetworkError,
    RenewalUnavailable,
    ServiceError,
    SessionError,
    SessionExpiredError,
    UsageError,
)
from ocihaul.integrations.dask import SharedSession, owner
from ocihaul.integrations.dask.messages import (
    CREDENTIAL,
    PROTOCOL,
    REJECTED,
    Message,
    answer,
    failure,
    held,
    provide,
    provider_of,
    refusal,
    withdraw,
)
from ocihaul.integrations.dask.owner import check_address
from ocihaul.integrations.dask.worker import SharePlugin, WorkerCredentials
from ocihaul.session.credential import ApiKey, Credential, SessionToken
from tests.support import NOW, Hand, make_token, rsa_key

LIFE = 1000.0


def credential(generation: int, *, born: float = NOW) -> Credential:
    key = rsa_key(1)
    token = SessionToken.parse(make_token(key, iat=born, exp=born + LIFE, n=generation))
    return Credential.of_token(key, token, generation)


def test_a_credential_arrives_as_it_was() -> None:
    sent = credential(3)
    found = held(answer(sent, known=None, now=NOW + 100), None, now=7.0)
    assert found.credential.generation == 3
    assert found.credential.key_id == sent.key_id
    assert found.credential.key.private_numbers() == sent.key.private_numbers()
    # Of 900 s that are left it is asked for the next one when 400 are.
    assert (found.ask_at, found.usable_until) == (7.0 + 500, 7.0 + 900)


def test_a_known_credential_is_not_sent_again() -> None:
    before = held(answer(credential(3), known=None, now=NOW), None, now=0.0)
    message = answer(credential(3), known=3, now=NOW + 700)
    assert message.keys() == {"generation", "left", "life"}
    after = held(message, before, now=700.0)
    assert after.credential is before.credential
    assert after.ask_at == 700 + LIFE / 50
    assert after.usable_until == 1000


def test_a_key_of_the_api_is_not_handed_out() -> None:
    forever = ApiKey(rsa_key(2), tenancy="t", user="u", fingerprint="f").credential()
    with pytest.raises(UsageError, match="API key"):
        answer(forever, known=None, now=NOW)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SessionExpiredError("it has expired", hint="Log in."), SessionExpiredError),
        (RenewalUnavailable("no answer", hint="Wait."), RenewalUnavailable),
        (CredentialError("the key is cut"), CredentialError),
        (
            ServiceError(status=500, code=None, message="no", operation="X"),
            SessionError,
        ),
    ],
)
def test_errors_arrive_as_what_they_are(error: Any, kind: type[SessionError]) -> None:
    with pytest.raises(kind) as caught:
        held(failure(error), None, now=0.0)
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.hint) == (error.message, error.hint)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"generation": 1, "left": 5.0, "life": 10.0},
        {"generation": "x", "left": 5.0, "life": 10.0, "token": "", "key": b""},
        {"generation": 1, "left": None, "life": 10.0, "token": "", "key": b""},
        {"generation": 1, "left": 5.0, "life": 10.0, "token": "a.b", "key": b""},
        {"generation": 1, "left": 5.0, "life": 10.0, "token": make_token(), "key": b"no key"},
    ],
)
def test_what_is_no_answer_is_an_error_of_ours(message: Message) -> None:
    with pytest.raises(CredentialError):
        held(message, None, now=0.0)


def test_another_version_is_refused_by_name() -> None:
    assert refusal("w1", PROTOCOL, "9.9", ours="1.0") is None
    message = refusal("w1", PROTOCOL + 1, "9.9", ours="1.0")
    assert message is not None
    with pytest.raises(UsageError, match=r"worker w1 has ocihaul 9\.9, the owner .* 1\.0"):
        held(message, None, now=0.0)


# A worker


@dataclass
class Owner:
    """Answers with the generation that it has, by a clock in hand; notes what it was asked."""

    clock: Hand = field(default_factory=Hand)
    generation: int = 1
    born: float = NOW
    asked: list[tuple[str, Message]] = field(default_factory=list)
    error: Exception | None = None
    gate: threading.Event | None = None

    def __call__(
        self, operation: str, what: Message, cancel: object, timeout: float | None
    ) -> Message:
        self.asked.append((operation, what))
        if self.gate is not None:
            assert self.gate.wait(20)
        if self.error is not None:
            raise self.error
        if operation == REJECTED and what["generation"] == self.generation:
            self.renew()
        sent = credential(self.generation, born=self.born)
        return answer(sent, known=what["known"], now=self.clock())

    def renew(self) -> None:
        self.generation += 1
        self.born = self.clock()


def pair() -> tuple[Owner, WorkerCredentials]:
    owner = Owner()
    return owner, WorkerCredentials(owner, clock=owner.clock)


def test_a_worker_asks_when_there_should_be_a_newer_one() -> None:
    owner, worker = pair()
    assert [worker.credential().generation for _ in range(5)] == [1] * 5
    assert owner.asked == [(CREDENTIAL, {"known": None})]
    owner.clock.forward(590)
    worker.credential()
    assert len(owner.asked) == 1
    owner.renew()
    owner.clock.forward(20)
    assert worker.credential().generation == 2
    assert owner.asked[1:] == [(CREDENTIAL, {"known": 1})]


def test_a_worker_that_gets_nothing_newer_asks_again_a_little_later() -> None:
    owner, worker = pair()
    worker.credential()
    owner.clock.forward(610)
    for _ in range(5):
        worker.credential()
    assert len(owner.asked) == 2
    owner.clock.forward(21)
    worker.credential()
    assert len(owner.asked) == 3


def test_an_owner_that_is_gone_counts_only_when_the_token_has_ended() -> None:
    owner, worker = pair()
    worker.credential()
    owner.error = RenewalUnavailable("it cannot be reached")
    owner.clock.forward(999)
    assert worker.credential().generation == 1
    owner.clock.forward(2)
    with pytest.raises(RenewalUnavailable):
        worker.credential()


def test_one_thread_asks_and_the_others_go_on() -> None:
    owner, worker = pair()
    worker.credential()
    owner.clock.forward(700)
    owner.renew()
    owner.gate = threading.Event()
    asking = threading.Thread(target=worker.credential)
    asking.start()
    while len(owner.asked) < 2:  # it is a thread of ours, and about to ask
        threading.Event().wait(0.001)
    assert worker.credential().generation == 1
    owner.gate.set()
    asking.join(20)
    assert worker.credential().generation == 2
    assert len(owner.asked) == 2


def test_a_401_is_reported_once_for_each_credential() -> None:
    owner, worker = pair()
    first = worker.credential()
    threads = [
        threading.Thread(target=worker.handle_unauthorized, args=(first, "PutObject"))
        for _ in range(16)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert worker.credential().generation == 2
    reported = [what for operation, what in owner.asked if operation == REJECTED]
    assert reported == [{"generation": 1, "operation": "PutObject", "known": 1}]


def test_who_waits_behind_another_can_be_stopped() -> None:
    owner, worker = pair()
    owner.gate = threading.Event()
    asking = threading.Thread(target=worker.credential)
    asking.start()
    while not owner.asked:
        threading.Event().wait(0.001)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(RenewalUnavailable, match="stopped"):
        worker.credential(cancel)
    owner.gate.set()
    asking.join(20)


# What may go where


@pytest.mark.parametrize(
    ("address", "listens"),
    [
        ("tls://10.0.0.5:8786", None),
        ("inproc://10.0.0.5/1/1", None),
        ("tcp://127.0.0.1:8786", "127.0.0.1"),
        ("tcp://[::1]:8786", "127.0.0.1"),
    ],
)
def test_where_a_key_may_travel(address: str, listens: str | None) -> None:
    assert check_address(address, allow_plain_tcp=False) == listens


@pytest.mark.parametrize("address", ["tcp://10.0.0.5:8786", "ws://127.0.0.1:1", "ucx://10.0.0.5:1"])
def test_where_it_may_not_unless_it_is_said(address: str) -> None:
    with pytest.raises(UsageError, match="not encrypted") as caught:
        check_address(address, allow_plain_tcp=False)
    assert "Security(" in str(caught.value.hint)
    assert "allow_plain_tcp=True" in str(caught.value.hint)
    assert check_address(address, allow_plain_tcp=True) is None


def test_what_is_pickled_is_a_name() -> None:
    mine = credential(5)

    class Provider:
        def credential(self, cancel: object = None) -> Credential:
            return mine

        def handle_unauthorized(self, *_: object) -> bool:
            return False

    provider = Provider()
    provide("nightly", provider)
    try:
        shared = SharedSession("nightly", region="eu-frankfurt-1", close=lambda: None)
        raw = pickle.dumps(shared)
        assert len(raw) < 200
        again = pickle.loads(raw)  # noqa: S301  our own
        assert (again.name, again.region) == ("nightly", "eu-frankfurt-1")
        assert again.credential() is mine
        assert again.__dask_tokenize__() == shared.__dask_tokenize__()
    finally:
        withdraw("nightly", provider)
    with pytest.raises(SessionError, match="no session 'nightly'"):
        again.credential()


def test_a_plugin_takes_no_more_along_than_where_to_ask() -> None:
    plugin = SharePlugin("nightly", "tls://10.0.0.5:40000")
    plugin._provider = object()  # type: ignore[assignment]  # what it has on a worker
    assert pickle.loads(pickle.dumps(plugin)).__dict__ == {  # noqa: S301  our own
        "name": "ocihaul-nightly",
        "_shared": "nightly",
        "_address": "tls://10.0.0.5:40000",
    }


def test_of_several_workers_in_one_process_any_will_do() -> None:
    first, second = WorkerCredentials(Owner()), WorkerCredentials(Owner())
    provide("two", first)
    provide("two", second)
    withdraw("two", second)
    assert provider_of("two") is first
    withdraw("two", first)
    withdraw("two", first)
    with pytest.raises(SessionError):
        provider_of("two")


def test_what_fails_at_the_end_of_sharing_does_not_keep_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[str] = []

    class Owner:
        def __init__(self, *_: object) -> None:
            pass

        def start(self, address: str) -> str:
            return address

        def close(self) -> None:
            steps.append("closed")

    class Cluster:
        asynchronous = False
        status = "running"
        scheduler = SimpleNamespace(address="tls://192.0.2.1:8786")

        def register_plugin(self, plugin: SharePlugin, name: str) -> None:
            steps.append(name)

        def unregister_worker_plugin(self, name: str) -> None:
            raise OSError(f"the scheduler has gone with {name}")

    monkeypatch.setattr(owner, "_Owner", Owner)
    session: Any = SimpleNamespace(region="us-ashburn-1")
    shared = owner.share(cast("Any", Cluster()), session, name="ending", host="192.0.2.2")
    assert provider_of("ending") is session
    with pytest.raises(OSError, match="has gone with ocihaul-ending"):
        shared.close()
    assert steps == ["ocihaul-ending", "closed"]
    with pytest.raises(SessionError, match="no session 'ending'"):
        provider_of("ending")


def test_where_no_question_can_be_heard_nothing_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    class Owner:
        def __init__(self, *_: object) -> None:
            pass

        def start(self, address: str) -> str:
            raise OSError(99, f"Cannot assign requested address {address}")

        def close(self) -> None:
            closed.append("closed")

    monkeypatch.setattr(owner, "_Owner", Owner)
    cluster: Any = SimpleNamespace(
        asynchronous=False, scheduler=SimpleNamespace(address="tls://192.0.2.1:8786")
    )
    with pytest.raises(NetworkError, match=r"heard at 192\.0\.2\.9") as caught:
        owner.share(cluster, cast("Any", object()), name="deaf", host="192.0.2.9")
    assert "Pass host=…" in str(caught.value.hint)
    assert closed == ["closed"]
    with pytest.raises(SessionError, match="no session 'deaf'"):
        provider_of("deaf")
