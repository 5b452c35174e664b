"""One renewal: the lock, the file read again, the rungs in their order, and what came of it.

What belongs here: doing it once, now. When it is due, and that only one thread does it, is
`session`'s business; what follows an outcome is decided in `ladder` and `policy`.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from ocihaul.clock import ServerClock
from ocihaul.events import Listener, RenewalFailed
from ocihaul.session import policy
from ocihaul.session.holding import Holding, State
from ocihaul.session.ladder import MINT, REFRESH, Climbed, Failed, Outcome, Rung, climb, refusal
from ocihaul.session.policy import Verdict
from ocihaul.session.store import CredentialStore, StoreBusy
from ocihaul.session.token import SessionToken

#: How long the lock is waited for at a time, seconds.
_LOCK_PATIENCE = 15.0


class Climber:
    """Renews what is held. Not for two threads at once.

    `notice` takes what a person should know, in one sentence; once `stopped` says so, nothing new
    is begun; `chance` spreads the retries of many processes.
    """

    def __init__(
        self,
        store: CredentialStore,
        rungs: Mapping[str, Rung],
        held: Holding,
        *,
        clock: ServerClock,
        listener: Listener,
        notice: Callable[[str], None],
        stopped: Callable[[], bool],
        chance: Callable[[], float],
    ) -> None:
        self._store = store
        self._rungs = rungs
        self._held = held
        self._clock = clock
        self._listener = listener
        self._notice = notice
        self._stopped = stopped
        self._chance = chance

    def climb(self, state: State) -> None:
        """Climb the ladder under the lock that makes this process the only one."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._store.lock(_LOCK_PATIENCE, stopped=self._stopped))
            except (StoreBusy, OSError) as error:
                if self._stopped() or not self._may_go_unlocked(state, error):
                    return
            # The token on disk may be newer by now.
            if not self._held.reread(state):
                self._ask(state)

    def _may_go_unlocked(self, state: State, error: Exception) -> bool:
        """Whether to renew without the lock.

        A neighbour that is stopped with the lock in its hand puts a renewal off, but must not cost
        the session. Where no lock can be made nothing is won by waiting: all would come at the same
        last moment, when no outage can be ridden out any more.
        """
        reason = f"the lock cannot be taken: {error}"
        if isinstance(error, StoreBusy):
            reason = f"another process holds {self._store.token_file}.lock"
            if self._held.verdict(self._held.state) is not Verdict.RENEW_NOW:
                self._failed(state, "lock", reason)
                return False
        self._notice(f"The token is renewed without a lock: {reason}.")
        return True

    def _ask(self, state: State) -> None:
        def ask(rung: Rung) -> Outcome:
            if self._stopped():
                return Failed("stopped")  # what is under way may end, nothing new is begun
            timeout = policy.attempt_timeout(self._clock.now(), state.token, state.history)
            return rung(state.credential, timeout)

        climbed = climb(
            self._rungs,
            state.history.spent,
            ask=ask,
            is_usable=lambda: self._held.is_usable(state),
            # A refusal may be somebody else's doing, who has just written the new token.
            has_moved_on=lambda: self._held.reread(state),
        )
        if climbed is not None:
            self._settle(state, climbed)

    def _settle(self, state: State, climbed: Climbed) -> None:
        for rung in climbed.spent.keys() - state.history.spent.keys():
            self._listener(RenewalFailed(rung, climbed.spent[rung], None))
        if climbed.note is not None:
            self._notice(climbed.note)
        token, giver = climbed.token, climbed.giver
        if token is not None and giver is not None and token.raw != state.token.raw:
            self._replace(state, token, giver, climbed.spent)
        else:
            refused = refusal(self._rungs, climbed.spent)
            history = replace(state.history, spent=climbed.spent, refused=refused)
            self._held.set_history(state, history)
        if climbed.failure is not None:
            self._failed(self._held.state, climbed.rung, climbed.failure)

    def _failed(self, state: State, rung: str, reason: str) -> None:
        history = replace(state.history, failures=state.history.failures + 1)
        now = self._clock.now()
        delay = policy.backoff(now, state.token, history, self._chance())
        self._held.set_history(state, replace(history, retry_at=now + delay))
        self._listener(RenewalFailed(rung, reason, delay))

    def _replace(
        self, state: State, token: SessionToken, rung: str, spent: Mapping[str, str]
    ) -> None:
        if rung == MINT:
            spent = {REFRESH: "a minted session cannot be refreshed"}
        elif token.expires_at > state.token.expires_at:
            spent = {}
        problem = self._held.replace(state, token, rung, spent)
        if problem is not None:
            self._notice(f"The renewed token is only in this process: {problem}.")
