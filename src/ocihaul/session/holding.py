"""What a session holds right now, and how it changes: its state, and the files on disk.

What belongs here: the one state that all threads read, replacing it, and looking at what others
have written. When to renew, and who asks for it, is `session`'s business.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ocihaul.clock import ServerClock
from ocihaul.errors import CredentialError
from ocihaul.session import policy
from ocihaul.session.credential import Credential
from ocihaul.session.policy import History, Verdict
from ocihaul.session.store import CredentialStore, Pair
from ocihaul.session.token import SessionToken

#: How often the disk is looked at, seconds.
LOOK_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class State:
    """What a session knows; replaced as a whole, so that readers need no lock."""

    credential: Credential
    token: SessionToken
    history: History


class Holding:
    """The present state of one session. Thread-safe.

    `refused` says why nothing is left when some rungs are spent; `adopted` is told, outside of
    the lock, by which rung a new state came; `chance` spreads the renewals of many holders.
    """

    def __init__(
        self,
        store: CredentialStore,
        *,
        clock: ServerClock,
        chance: Callable[[], float],
        refused: Callable[[Mapping[str, str]], str | None],
        adopted: Callable[[str], None],
    ) -> None:
        """Read the pair from the store. Raises CredentialError when it is unusable."""
        self._store = store
        self._clock = clock
        self._chance = chance
        self._refused = refused
        self._adopted = adopted
        #: Guards every replacement of `state`; waited on for a new one.
        self.changed = threading.Condition()
        self._look_again_at = 0.0
        self._dead: set[str] = set()
        self.state = self._state_of(store.read(), generation=1, spent={})

    # Judging

    def verdict(self, state: State) -> Verdict:
        """What the policy says of `state` now."""
        return policy.decide(self._clock.now(), state.token, state.history)

    def is_usable(self, state: State) -> bool:
        """Whether the service may still accept the token of `state`."""
        return policy.is_usable(self._clock.now(), state.token, state.history)

    def has_moved_on(self, generation: int) -> bool:
        """Whether another generation is held by now."""
        return self.state.credential.generation != generation

    # Changing

    def reject(self, credential: Credential) -> bool | None:
        """Note a 401. None: another generation is held already; else whether it is the first."""
        with self.changed:
            state = self.state
            if state.credential.generation != credential.generation:
                return None
            first = not state.history.rejected
            self.state = replace(state, history=replace(state.history, rejected=True))
            self._dead.add(state.token.digest)
            return first

    def grant_last_try(self, state: State) -> bool:
        """Before it is over: the clock may be wrong, or the 401 have been a hiccup.

        False when the last try has been made.
        """
        with self.changed:
            if self.state is not state:
                return True  # look again: another thread was here
            history = policy.with_last_try(state.history)
            if history is not None:
                self.state = replace(state, history=history)
                self.changed.notify_all()
            return history is not None

    def adopt(
        self,
        pair: Pair,
        rung: str,
        *,
        spent: Mapping[str, str],
        only_if: Callable[[SessionToken, State], bool] = lambda *_: True,
    ) -> None:
        """Hold this pair from now on, unless it is held already or `only_if` says no."""
        with self.changed:
            # Asked under the lock: a fresher token may have come since this one was read.
            if pair.token.raw == self.state.token.raw or not only_if(pair.token, self.state):
                return
            generation = self.state.credential.generation + 1
            self.state = self._state_of(pair, generation=generation, spent=spent)
            self.changed.notify_all()
        self._adopted(rung)

    def set_history(self, state: State, history: History) -> None:
        """Replace what is known of the token of `state`, if it is still the one that is held."""
        with self.changed:
            if self.state.credential.generation == state.credential.generation:
                rejected = history.rejected or self.state.history.rejected
                self.state = replace(self.state, history=replace(history, rejected=rejected))
            self.changed.notify_all()

    def replace(
        self, state: State, token: SessionToken, rung: str, spent: Mapping[str, str]
    ) -> str | None:
        """Put a renewed token on disk and hold it; why it could not be written, if so.

        Where others have written something better meanwhile, that is held instead.
        """
        problem = self._store.replace(token, instead_of=state.token)
        if problem is not None and self.reread(state):
            return None
        self._dead.add(state.token.digest)

        def may_follow(token: SessionToken, held: State) -> bool:
            generation = state.credential.generation
            return held.credential.generation == generation or self._is_better(token, held)

        self.adopt(Pair(token, state.credential.key), rung, spent=spent, only_if=may_follow)
        return problem

    # The disk

    def look_at_disk(self, *, now: bool = False) -> None:
        """One stat a second at most, by whoever comes first; adopt what others have renewed."""
        moment_of_look = self._clock.monotonic()
        if moment_of_look < self._look_again_at and not now:
            return
        # Two threads that pass here at once both look: harmless.
        self._look_again_at = moment_of_look + LOOK_EVERY
        if self._store.changed():
            self.reread(self.state)

    def reread(self, state: State) -> bool:
        """Adopt the pair on disk if it is better than ours; True when the session moved on."""
        try:
            pair = self._store.read()
        except CredentialError:
            return self.has_moved_on(state.credential.generation)
        self.adopt(pair, "reread", spent={}, only_if=self._is_better)
        return self.has_moved_on(state.credential.generation)

    def _is_better(self, token: SessionToken, state: State) -> bool:
        if token.raw == state.token.raw or token.digest in self._dead:
            return False
        if not self.is_usable(state) or state.history.refused is not None:
            return token.expires_at > self._clock.now()
        return (token.expires_at, token.issued_at or 0.0) >= (
            state.token.expires_at,
            state.token.issued_at or 0.0,
        )

    def _state_of(self, pair: Pair, *, generation: int, spent: Mapping[str, str]) -> State:
        history = History(
            self._clock.now(),
            spread=2 * self._chance() - 1,
            spent=spent,
            refused=self._refused(spent),
        )
        credential = Credential.of_token(pair.key, pair.token, generation)
        return State(credential, pair.token, history)
