"""What is asked of the auth service: one refresh, and what becomes of the token before it."""

import threading
import time
from dataclasses import dataclass

from ocihaul.config import Settings
from ocihaul.errors import CredentialError, SessionError, SessionExpiredError
from ocihaul.session.credential import Credential
from ocihaul.session.providers import refresh_once
from ocihaul.session.session import refresh_for, store_for
from ocihaul.transport.dialer import Dialer
from tools.live_probe.wire import UnclearError, Wire, need

#: Seconds: claims are whole ones, so a token this young may be followed by one with the same end.
_YOUNG = 2.0
#: Seconds that a token lives on at least, to be watched.
_REST = 5.0


@dataclass(slots=True)
class OldToken:
    """The token that was refreshed, tried again and again until `until` (monotonic seconds)."""

    wire: Wire
    credential: Credential
    refreshed: float
    until: float
    refused_after: float | None = None
    looks: int = 0

    def look(self) -> None:
        """Try it once, unless it has been refused already."""
        now = time.monotonic()
        if self.refused_after is not None or now > self.until:
            return
        answer = self.wire.send("GET", "/n", credential=self.credential)
        self.looks += 1
        if need(answer, "GetNamespace", 200, 401).status == 401:
            self.refused_after = round(now - self.refreshed, 1)

    def answer(self) -> dict[str, object]:
        """Watch it to the end, ever more seldom. Raises UnclearError where it was never tried."""
        while self.refused_after is None and (left := self.until - time.monotonic()) > 0:
            self.look()
            seldom = max(0.2, (time.monotonic() - self.refreshed) / 20)
            time.sleep(min(left, seldom))  # a service tells nobody when it stops taking a token
        if not self.looks:
            raise UnclearError("the token before the refresh was at its end")
        seen = "not seen" if self.refused_after is None else self.refused_after
        return {"old_token_refused_after": seen}


def refresh(
    settings: Settings, dialer: Dialer, wire: Wire, watch: float
) -> tuple[dict[str, object], OldToken]:
    """Refresh the session on disk once, and return what that tells, and the token before it.

    Raises UnclearError where there is no session, or another program refreshed it.
    """
    if settings.auth != "security_token":
        raise UnclearError("no session signs: log in with `ocihaul session authenticate`")
    store = store_for(settings)
    pair = store.read()
    old = Credential.of_token(pair.key, pair.token, 1)
    if pair.token.issued_at is not None:
        age = wire.clock.now() - pair.token.issued_at
        time.sleep(min(_YOUNG, max(0.0, _YOUNG - age)))  # or the new one may look like the old
    provider = refresh_for(settings, dialer, wire.clock, threading.Event())
    try:
        by_another = refresh_once(store, provider, timeout=30.0).by_another
    except (SessionExpiredError, CredentialError):
        raise UnclearError("the refresh was refused") from None
    except SessionError:
        by_another = False  # also for an end that did not move: the file tells
    refreshed = time.monotonic()
    new = store.read().token
    if by_another or new.raw == pair.token.raw:
        raise UnclearError("there was no refresh that tells anything")
    kinds = (("login", pair.token), ("refresh", new))
    left = pair.token.expires_at - wire.clock.now() - _REST
    until = refreshed + min(watch, left)
    return {
        "refresh_moves_the_end": new.expires_at > pair.token.expires_at,
        "sess_exp_in": [kind for kind, token in kinds if token.session_ends_at is not None],
    }, OldToken(wire, old, refreshed, until)
