"""What a running session knows of itself, as a value; pure."""

from dataclasses import dataclass

from ocihaul.session import policy
from ocihaul.session.holding import State


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """One look at a session. Times are epoch seconds by the service's clock; no secret is in it.

    `at` is the time of the look. The token ends at `expires_at`; its session, which renewals cannot
    outlive, at `session_ends_at` (None where the token does not say). `generation` counts the
    tokens held since the start, and `renewed_at` is when the present one was taken up (None: it is
    the first). `usable`: the service may accept the token. `refusal` is why it will not be renewed
    any more, None as long as it may be. `parked_until` is how long requests wait for a new login,
    None as long as none waits for one.
    """

    at: float
    expires_at: float
    session_ends_at: float | None
    generation: int
    renewed_at: float | None
    usable: bool
    refusal: str | None
    parked_until: float | None

    @property
    def parked(self) -> bool:
        """Whether requests wait for a new login."""
        return self.parked_until is not None

    @classmethod
    def of(cls, state: State, *, now: float, parked_until: float | None) -> "SessionStatus":
        """The status of a session that holds `state`."""
        generation = state.credential.generation
        return cls(
            at=now,
            expires_at=state.token.expires_at,
            session_ends_at=state.token.session_ends_at,
            generation=generation,
            renewed_at=state.history.since if generation > 1 else None,
            usable=policy.is_usable(now, state.token, state.history),
            refusal=state.history.refused,
            parked_until=parked_until if (parked_until or 0.0) > now else None,
        )
