"""Whether a session will last for what is still to be done; pure."""

from dataclasses import dataclass

from ocihaul.session.moments import length, moment

#: A session that ends with its token cannot be refreshed: their claims differ by rounding at most.
_SAME_END = 2.0


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of a session. Times are epoch seconds; `mints` says who can, if anybody."""

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
class Forecast:
    """`fits` is None where it cannot be known."""

    text: str
    fits: bool | None


def _rate(rate: float) -> str:
    """In the units of `--expected-rate` and `--bandwidth`, with two digits at least."""
    return f"{rate / 2**20:.0f} MiB/s" if rate >= 10 * 2**20 else f"{rate / 2**20:.2g} MiB/s"


def forecast(now: float, size: int | None, rate: float | None, outlook: Outlook) -> Forecast:
    """Whether `size` bytes at `rate` bytes per second (None: not known) fit the session."""
    need = size / rate if rate and size is not None else None
    begin = f"at {_rate(rate)} this needs {length(need)}; " if rate and need else ""
    left = f"the token ends in {length(outlook.token_ends_at - now)}"
    if outlook.mints is not None:
        return Forecast(f"{begin}{left} and {outlook.mints} mints new ones", fits=True)
    if not outlook.refreshable:
        park = moment(outlook.token_ends_at)
        text = f"{begin}{left} and cannot be renewed (no-browser session)"
        if need is not None and now + need <= outlook.token_ends_at:
            return Forecast(text, fits=True)
        text += f": it will park at {park}; use --renew-with"
        return Forecast(text, fits=None if need is None else False)
    if outlook.session_ends_at is None:
        return Forecast(f"{begin}{left} and can be renewed", fits=True)
    text = f"{begin}{left} and can be renewed until {moment(outlook.session_ends_at)}"
    if need is None or now + need <= outlook.session_ends_at:
        return Forecast(text, fits=True)
    return Forecast(f"{text}: it will park then; log in before, or use --renew-with", fits=False)
