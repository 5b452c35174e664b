"""Every provider and every outcome: what the other end did, and what comes next, as one table.

The inputs are what really happens there: answers of the auth service as they are read, a socket
that nobody listens on and one that nobody answers on, files as others leave them, a browser's
posts. What comes next is what the policy makes of them.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import pytest
from filelock import FileLock

from ocihaul.clock import ServerClock
from ocihaul.endpoints import Origin
from ocihaul.errors import LoginError, SessionExpiredError
from ocihaul.events import RenewalFailed, TokenChanged
from ocihaul.session import renewer
from ocihaul.session.credential import ApiKey, Credential, SessionToken
from ocihaul.session.login.browser_login import BrowserLogin
from ocihaul.session.login.profile_files import NewSession, replace_session
from ocihaul.session.login.profile_paths import ProfilePaths
from ocihaul.session.policy import (
    MINT,
    NOT_MOVED,
    REFRESH,
    Decision,
    History,
    Outcome,
    Provider,
    Refused,
    RenewalResult,
    Renewed,
    decide,
    reason_of,
    renewal_error,
    run_chain,
)
from ocihaul.session.providers import ApiKeyProvider, AuthService, RefreshProvider, Send
from ocihaul.session.session import Session
from ocihaul.session.state import FILE, SessionState
from ocihaul.session.store import CredentialStore
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import Answer, Request
from ocihaul.transport.pool import exchange_once
from tests.support import NOW, Hand, Recorder, make_token, pem, rsa_key
from tests.unit.session.login.test_browser_login import Visitor, id_token

HALF = NOW + 1800  # the time of every cell: the present token is at half of its hour
TIMEOUT = 0.2  # seconds that a provider may take

COLUMNS = ("success", "refused", "network error", "garbage", "not extended", "hang")

# What comes next
ADOPT = "adopt it"
LATER = "try again after a pause"
USE_UP = "use the token to its end"
PAUSE = "pause"
WAIT_ON = "stay paused to the limit"

#: Provider and column: what comes next while the present token stands, and when it is gone. None:
#: the provider is not reached then. Instead of a row of two, why the cell cannot occur.
NEXT: dict[str, dict[str, tuple[str | None, str] | str]] = {
    FILE: {
        "success": (ADOPT, ADOPT),
        "refused": "a file refuses nothing; one that may not be read counts as missing",
        "network error": (REFRESH, REFRESH),
        "garbage": (REFRESH, REFRESH),
        "not extended": (REFRESH, REFRESH),
        "hang": (LATER, REFRESH),
    },
    REFRESH: {
        "success": (ADOPT, ADOPT),
        "refused": (MINT, MINT),
        "network error": (LATER, MINT),
        "garbage": (LATER, MINT),
        "not extended": (MINT, MINT),
        "hang": (LATER, MINT),
    },
    MINT: {
        "success": (ADOPT, ADOPT),
        "refused": (USE_UP, PAUSE),
        "network error": (LATER, LATER),
        "garbage": (LATER, LATER),
        "not extended": (LATER, LATER),
        "hang": (LATER, LATER),
    },
    "log in": {
        "success": (None, ADOPT),
        "refused": (None, WAIT_ON),
        "network error": "the network is the browser's: what it cannot reach never comes back here",
        "garbage": (None, WAIT_ON),
        "not extended": "a login opens another session: there is no end that could be moved",
        "hang": (None, WAIT_ON),
    },
    "pause": {
        "success": (None, ADOPT),
        "refused": "no service is asked: the files are watched",
        "network error": (None, WAIT_ON),
        "garbage": (None, WAIT_ON),
        "not extended": (None, WAIT_ON),
        "hang": (None, WAIT_ON),
    },
}


def text_of(*, which: int = 0, iat: float = HALF, exp: float = HALF + 3600) -> str:
    return make_token(rsa_key(which), iat=iat, exp=exp)


OLD = SessionToken.parse(text_of(iat=NOW, exp=NOW + 3600))
MINE = Credential.of_token(rsa_key(), OLD, 1)

# What an auth service does: an answer, or a socket of this machine that gives none.


def answer(status: int, document: object) -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Answer(status, {"date": formatdate(HALF, usegmt=True)}, body, 0)


def no(status: int) -> Answer:
    return answer(status, {"code": "NotAuthenticated", "message": "it has ended"})


def token_answer(text: str) -> Answer:
    return answer(200, {"token": text})


PAGE = b"<html>Log in to the Wi-Fi</html>"
#: Answers, or the name of such a socket, each with the words of the reason that comes of it.
Done = tuple[Answer | str, str]
GARBAGE: list[Done] = [
    (answer(200, PAGE), "answered 200 with something that is not JSON"),
    (answer(403, PAGE), "answered 403 with something that is not JSON"),
    (answer(200, {}), "the token is empty"),
    (token_answer(text_of()[:-9]), "the token is cut"),
    (token_answer(text_of(which=1)), "a token for another key"),
]
ASKED: dict[str, dict[str, list[Done]]] = {
    REFRESH: {
        "success": [(token_answer(text_of()), "")],
        "refused": [(no(status), f"{status} NotAuthenticated") for status in (400, 401, 403)],
        "network error": [("closed", "Connection refused"), (no(503), "answered 503")],
        "garbage": GARBAGE,
        "not extended": [
            (token_answer(text_of(exp=NOW + 3600)), NOT_MOVED),
            (token_answer(OLD.raw), NOT_MOVED),
        ],
        "hang": [("silent", f"took more than {TIMEOUT:g} s to answer")],
    },
    MINT: {
        # It opens a session of its own, which may well end sooner than the present one.
        "success": [(token_answer(text_of()), ""), (token_answer(text_of(exp=HALF + 300)), "")],
        "refused": [(no(status), f"{status} NotAuthenticated") for status in (401, 403, 404)],
        "network error": [("closed", "Connection refused"), (no(503), "answered 503")],
        "garbage": GARBAGE,
        "not extended": [(token_answer(OLD.raw), "the token that we have")],
        "hang": [("silent", f"took more than {TIMEOUT:g} s to answer")],
    },
}

# What others do to the files, and a browser to the login.


@dataclass
class Files:
    """Key and token of a session, a clock in hand, and what lets go of everything at the end."""

    folder: Path
    hand: Hand
    holding: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        self.key_file.write_bytes(pem(rsa_key()))
        self.token_file.write_text(OLD.raw)

    @property
    def place(self) -> ProfilePaths:
        return ProfilePaths("NIGHT", self.folder / "config", self.folder)

    @property
    def token_file(self) -> Path:
        return self.place.token_file

    @property
    def key_file(self) -> Path:
        return self.place.key_file

    def store(self) -> CredentialStore:
        return CredentialStore(self.token_file, self.key_file, sleep=self.hand.forward)

    def clock(self) -> ServerClock:
        return ServerClock(wall=self.hand, monotonic=self.hand)


def put(text: str, *, key: int | None = None) -> Callable[[Files], None]:
    def write(files: Files) -> None:
        if key is not None:
            files.key_file.write_bytes(pem(rsa_key(key)))
        files.token_file.write_text(text)

    return write


def remove(files: Files) -> None:
    files.token_file.unlink()


def put_in_the_way(files: Files) -> None:
    remove(files)
    files.token_file.mkdir()


def hold_the_lock(files: Files) -> None:
    files.holding.enter_context(FileLock(f"{files.token_file}.lock", is_singleton=False))


def nothing(files: Files) -> None:
    """Nothing happens."""


TORN = [put(""), put(PAGE.decode()), put(text_of()[:-9]), put(text_of(which=1))]
RELOAD: dict[str, list[Callable[[Files], None]]] = {
    "success": [put(text_of()), put(text_of(which=1), key=1)],
    "network error": [remove, put_in_the_way],
    "garbage": TORN,
    "not extended": [nothing, put(text_of(iat=NOW - 1800, exp=HALF))],
    "hang": [hold_the_lock],
}
PAUSED: dict[str, list[Callable[[Files], None]]] = {
    "success": [put(text_of()), put(text_of(which=1), key=1)],
    "network error": [remove, put_in_the_way],
    "garbage": TORN,
    "not extended": [put(OLD.raw), put(text_of(iat=NOW - 3600, exp=HALF - 1))],
    "hang": [nothing],
}
#: The fields of a browser's post, made from what the login has asked for; and what comes of it.
Post = tuple[Callable[[Visitor], dict[str, str]], str]
POSTS: dict[str, list[Post | None]] = {
    "success": [(lambda v: {"security_token": v.token(), "nonce": v.query["nonce"]}, "")],
    "refused": [
        (
            lambda v: {"error": "access_denied", "nonce": v.query["nonce"]},
            "the login page answered: access_denied",
        )
    ],
    "garbage": [
        (lambda _: {"security_token": PAGE.decode()}, "not a JWT"),
        (lambda _: {}, "there is no token in it"),
        (lambda v: {"security_token": v.token()[:-9]}, "the token is cut"),
        (lambda _: {"security_token": text_of(which=1)}, "its token belongs to another key"),
        (
            lambda v: {"security_token": v.token(), "id_token": id_token("theirs")},
            "it belongs to another login",
        ),
    ],
    "hang": [None],
}
WORLD: dict[str, Mapping[str, Sequence[object]]] = {
    FILE: RELOAD,
    **ASKED,
    "log in": POSTS,
    "pause": PAUSED,
}


def cells() -> Iterator[object]:
    for provider, row in NEXT.items():
        for column, nexts in row.items():
            if isinstance(nexts, str):
                continue
            for number, deed in enumerate(WORLD[provider][column]):
                for following, usable in zip(nexts, (True, False), strict=True):
                    if following is not None:
                        name = f"{provider}-{column}-{number}-{'stands' if usable else 'gone'}"
                        yield pytest.param(provider, deed, usable, following, id=name)


def test_the_table_is_whole() -> None:
    """No cell is missing: each has inputs, or says why it has none; no two columns share one."""
    assert NEXT.keys() == WORLD.keys()
    for provider, row in NEXT.items():
        assert tuple(row) == COLUMNS
        for column, nexts in row.items():
            assert isinstance(nexts, str) != bool(WORLD[provider].get(column))
        inputs = [id(deed) for deeds in WORLD[provider].values() for deed in deeds]
        assert len(inputs) == len(set(inputs))


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    made = Files(tmp_path, Hand(HALF))
    with made.holding:
        yield made


@pytest.fixture(scope="module")
def sockets() -> Iterator[dict[str, int]]:
    """Ports of this machine: one that is closed, one where nobody ever says a word."""
    with socket.socket() as closed, socket.socket() as silent:
        for each in (closed, silent):
            each.bind(("127.0.0.1", 0))
        silent.listen(100)
        yield {"closed": closed.getsockname()[1], "silent": silent.getsockname()[1]}


def auth_that(did: Answer | str, ports: dict[str, int]) -> Send:
    def send(_origin: Origin, request: Request, timeout: float) -> Answer:
        if isinstance(did, Answer):
            return did
        origin = Origin.parse(f"http://127.0.0.1:{ports[did]}")
        dialer = Dialer(connect_timeout=10.0, environ={})
        return exchange_once(dialer, origin, request, timeout=timeout, stop=threading.Event())

    return send


def real_provider(name: str, did: Answer | str, ports: dict[str, int]) -> Provider:
    clock, send = ServerClock(wall=Hand(HALF), monotonic=Hand()), auth_that(did, ports)
    if name == REFRESH:
        return RefreshProvider(AuthService(Origin.parse("http://auth.example"), send, clock))
    signer = ApiKey(rsa_key(1), tenancy="t", user="u", fingerprint="f")
    return ApiKeyProvider(AuthService(Origin.parse("http://auth.example"), send, clock), signer)


def ask(provider: Provider) -> Outcome:
    return provider(MINE, TIMEOUT)


PROVIDERS = (REFRESH, MINT)


def after_asking(name: str, done: Done, ports: dict[str, int], *, usable: bool) -> str:
    """The providers before it are exhausted, and those after it would renew."""
    asked: list[str] = []

    def above(each: str) -> Provider:
        def renew(*_: object) -> Outcome:
            asked.append(each)
            return Renewed(SessionToken.parse(text_of(exp=HALF + 7200)))

        return renew

    did, words = done
    providers = {each: above(each) for each in PROVIDERS}
    providers[name] = real_provider(name, did, ports)
    exhausted = dict.fromkeys(PROVIDERS[: PROVIDERS.index(name)], "exhausted before")
    result = run_chain(
        providers, exhausted, ask=ask, is_usable=lambda: usable, has_moved_on=lambda: False
    )
    assert result is not None
    reason = result.exhausted.get(name) or result.failure or ""
    if asked:  # what was skipped for now is not exhausted, and its reason is not kept
        assert words in (reason or reason_of(ask(real_provider(name, did, ports))))
        assert (result.provider, asked) == (asked[0], [result.provider])
        return result.provider
    assert words in reason
    assert bool(words) == bool(reason)
    if not reason:
        assert result.provider == name
        return ADOPT
    error = renewal_error(providers, result.exhausted)
    if error is None:
        assert result.failure == reason
        return LATER
    history = History(NOW, rejected=not usable, exhausted=result.exhausted, renewal_error=error)
    return {Decision.KEEP: USE_UP, Decision.EXPIRED: PAUSE}[decide(HALF, OLD, history)]


def after_reloading(
    files: Files, deed: Callable[[Files], None], patch: pytest.MonkeyPatch, *, usable: bool
) -> str:
    """A real renewal: the lock, the files, then the first provider."""
    patch.setattr(renewer, "_LOCK_TIMEOUT", 0.1)
    asked: list[str] = []

    def renew(*_: object) -> Outcome:
        asked.append(REFRESH)
        return Renewed(SessionToken.parse(text_of(exp=HALF + 7200)))

    heard = Recorder()
    state = SessionState(
        files.store(),
        [REFRESH],
        clock=files.clock(),
        listener=heard,
        stop=threading.Event(),
        jitter=lambda: 0.5,
    )
    if not usable:
        state.reject(state.current.credential)
    deed(files)
    renewer.Renewer(state, {REFRESH: renew}).renew(1)
    adopted = [event.source for event in heard.of(TokenChanged)][1:]
    if asked:
        assert adopted == [REFRESH]
        return REFRESH
    if adopted:
        assert adopted == [FILE]
        return ADOPT
    (failed,) = heard.of(RenewalFailed)
    assert "another process holds" in str(failed)
    return LATER


def after_pausing(files: Files, deed: Callable[[Files], None], patch: pytest.MonkeyPatch) -> str:
    """The session has expired, and waits an hour for a login."""
    session = Session(
        files.store(),
        {REFRESH: lambda *_: Refused("ended")},
        clock=files.clock(),
        jitter=lambda: 0.5,
        session_wait=3600.0,
    )
    done: list[bool] = []

    def time_passes(seconds: float) -> None:
        files.hand.forward(seconds)
        if session.status().paused and not done:
            done.append(True)
            deed(files)

    patch.setattr(session.state, "wait", time_passes)
    assert session.handle_unauthorized(session.credential()), "the last try"
    try:
        session.handle_unauthorized(session.credential())
    except SessionExpiredError:
        assert done, "nothing was done to it"
        assert files.hand.time >= HALF + 3600
        return WAIT_ON
    assert done, "nothing was done to it"
    assert session.credential().token != OLD
    return ADOPT


def after_logging_in(files: Files, post: Post | None, patch: pytest.MonkeyPatch) -> str:
    """What `--login auto` does for a paused transfer: it writes what the login brings to disk."""
    patch.setattr(renewer, "LOOK_EVERY", 60.0)
    brought: list[NewSession] = []
    with BrowserLogin("https://login.example", port=0) as login:
        if post is not None:
            assert Visitor(login).post(post[0](Visitor(login)))[0] == 200
        words = "no login within" if post is None else post[1]
        if words:
            with pytest.raises(LoginError) as caught:
                login.wait(0.3)
            assert words in str(caught.value)
        else:
            brought.append(login.wait(5.0))

    def write(files: Files) -> None:
        for each in brought:
            # The browser's hour began at NOW, as all of them do here.
            fresh = SessionToken.parse(make_token(each.key, iat=HALF, exp=HALF + 3600))
            replace_session(
                files.place, NewSession(fresh, each.public_key, each.key), passphrase=None
            )

    return after_pausing(files, write, patch)


@pytest.mark.parametrize(("provider", "deed", "usable", "following"), list(cells()))
def test_every_provider_and_every_outcome(  # noqa: PLR0917  a cell, and what pytest brings
    provider: str,
    deed: object,
    usable: bool,
    following: str,
    files: Files,
    sockets: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if provider in PROVIDERS:
        found = after_asking(provider, deed, sockets, usable=usable)  # type: ignore[arg-type]  # of this row
    elif provider == FILE:
        found = after_reloading(files, deed, monkeypatch, usable=usable)  # type: ignore[arg-type]  # same
    elif provider == "pause":
        found = after_pausing(files, deed, monkeypatch)  # type: ignore[arg-type]  # of this row
    else:
        found = after_logging_in(files, deed, monkeypatch)  # type: ignore[arg-type]  # of this row
    assert found == following


def test_when_ours_is_gone_another_that_still_lives_is_tried_though_it_ends_sooner(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    sooner = put(text_of(iat=NOW - 60, exp=NOW + 3540))
    assert after_reloading(files, sooner, monkeypatch, usable=True) == REFRESH
    put(OLD.raw)(files)
    assert after_reloading(files, sooner, monkeypatch, usable=False) == ADOPT


@pytest.mark.parametrize("column", ["refused", "not extended"])
def test_a_refusal_may_be_due_to_another_process_that_has_just_renewed(
    column: str, sockets: dict[str, int]
) -> None:
    for did, _ in ASKED[REFRESH][column]:
        result: RenewalResult | None = run_chain(
            {REFRESH: real_provider(REFRESH, did, sockets), MINT: lambda *_: pytest.fail("minted")},
            {},
            ask=ask,
            is_usable=lambda: True,
            has_moved_on=lambda: True,
        )
        assert result is None, "no provider is exhausted"


def test_a_token_without_more_life_is_the_last_resort(sockets: dict[str, int]) -> None:
    """The old one may have died of it."""
    same_end = token_answer(text_of(exp=NOW + 3600))
    providers = {
        REFRESH: real_provider(REFRESH, same_end, sockets),
        MINT: real_provider(MINT, no(401), sockets),
    }
    result = run_chain(providers, {}, ask=ask, is_usable=lambda: True, has_moved_on=lambda: False)
    assert result is not None
    assert result.token is not None
    assert result.token.raw == json.loads(same_end.body)["token"]
    assert (result.source, result.provider) == (REFRESH, MINT)
    assert result.exhausted.keys() == {REFRESH, MINT}


def test_a_provider_that_gave_no_answer_is_named_although_the_next_one_refused(
    sockets: dict[str, int],
) -> None:
    providers = {
        REFRESH: real_provider(REFRESH, no(503), sockets),
        MINT: real_provider(MINT, no(401), sockets),
    }
    result = run_chain(providers, {}, ask=ask, is_usable=lambda: False, has_moved_on=lambda: False)
    assert result is not None
    assert result.exhausted.keys() == {MINT}
    assert "answered 503" in (result.failure or "")
    assert result.provider == REFRESH, "the log says which one to look at"
