"""Estimate whether a session lasts for what is still to be done; pure."""

from dataclasses import dataclass

from ocihaul.clock import length, moment

#: A session that ends with its token cannot be refreshed: their claims differ by rounding at most.
_SAME_END = 2.0


@dataclass(frozen=True, slots=True)
class SessionLifetime:
    """When a session ends. Times are epoch seconds; `mints` names the profile that can mint."""

    token_ends_at: float
    session_ends_at: float | None
    mints: str | None

    @property
    def refreshable(self) -> bool:
        """Whether a refresh can bring more life than the present token has."""
        if self.session_ends_at is None:
            return True
        return self.session_ends_at > self.token_ends_at + _SAME_END


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate as text; `fits` is None where it is not known."""

    text: str
    fits: bool | None


def _rate(rate: float) -> str:
    """Return a rate in the units of `--expected-rate` and `--bandwidth`, two digits at least."""
    return f"{rate / 2**20:.0f} MiB/s" if rate >= 10 * 2**20 else f"{rate / 2**20:.2g} MiB/s"


def estimate(
    now: float, size: int | None, rate: float | None, lifetime: SessionLifetime
) -> Estimate:
    """Return whether `size` bytes at `rate` bytes per second (None: not known) fit the session."""
    need = size / rate if rate and size is not None else None
    begin = f"at {_rate(rate)} this needs {length(need)}; " if rate and need else ""
    left = f"the token ends in {length(lifetime.token_ends_at - now)}"
    if lifetime.mints is not None:
        return Estimate(f"{begin}{left} and {lifetime.mints} mints new ones", fits=True)
    if not lifetime.refreshable:
        end = moment(lifetime.token_ends_at)
        text = f"{begin}{left} and cannot be renewed (no-browser session)"
        if need is not None and now + need <= lifetime.token_ends_at:
            return Estimate(text, fits=True)
        text += f": it will pause at {end}; use `renew_with`"
        return Estimate(text, fits=None if need is None else False)
    if lifetime.session_ends_at is None:
        return Estimate(f"{begin}{left} and can be renewed", fits=True)
    text = f"{begin}{left} and can be renewed until {moment(lifetime.session_ends_at)}"
    if need is None or now + need <= lifetime.session_ends_at:
        return Estimate(text, fits=True)
    return Estimate(f"{text}: it will pause then; log in before, or use `renew_with`", fits=False)
