"""What a person wants of the session: who renews it, how long to wait for a login, what to run.

What belongs here: reading these options from their places. What they do is the session's business.
"""

from collections.abc import Mapping

from ocihaul.config.settings import Flags, SessionOptions
from ocihaul.config.sources import Places
from ocihaul.config.units import Found, duration, size, whole_number
from ocihaul.errors import UsageError

#: How long an expired session waits for a new login, unless told otherwise, seconds.
SESSION_WAIT = 12 * 3600.0
#: No session is asked for that lives longer than a year. The service grants what it likes.
MOST_MINUTES = 365 * 24 * 60

#: These speak of the profile in use, and would turn the one that mints into it.
_OF_THE_PROFILE = frozenset(
    f"OCI_CLI_{name}"
    for name in (
        "AUTH",
        "FINGERPRINT",
        "KEY_CONTENT",
        "KEY_FILE",
        "PASSPHRASE",
        "PROFILE",
        "SECURITY_TOKEN_FILE",
        "TENANCY",
        "USER",
    )
)


def find_session_options(flags: Flags, places: Places) -> SessionOptions:
    """The options as flags, OCIHAUL_* variables or the rc file give them. Raises UsageError."""

    def found(name: str, value: object) -> Found | None:
        variable = "OCIHAUL_" + name.upper().replace("-", "_")
        text = None if value is None else str(value)
        given = places.parameter(name.replace("-", "_"), text)
        return given or places.env(variable) or places.default(name)

    wait = found("session-wait", flags.session_wait)
    minutes = found("session-expiration-in-minutes", flags.session_expiration_in_minutes)
    rate = found("expected-rate", flags.expected_rate)
    on_park = found("on-park", flags.on_park)
    login = found("login", flags.login)
    renew_with = found("renew-with", flags.renew_with)
    return SessionOptions(
        renew_with=renew_with.value if renew_with else None,
        minutes=whole_number(minutes, 1, MOST_MINUTES, "a number of minutes") if minutes else None,
        session_wait=duration(wait) if wait else SESSION_WAIT,
        on_park=on_park.value if on_park else None,
        login=_is_auto(login) if login else False,
        require_session=places.is_on(
            flags.require_session, "OCIHAUL_REQUIRE_SESSION", "require-session"
        ),
        expected_rate=_rate(rate) if rate else None,
    )


def minting_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for the profile that mints: without what speaks of the one in use."""
    return {name: value for name, value in environ.items() if name not in _OF_THE_PROFILE}


def _is_auto(found: Found) -> bool:
    if found.value not in {"auto", "never"}:
        raise UsageError(
            f"{found.origin}: {found.value!r} is not a way to log in",
            hint="It is auto (at a terminal, when the session has expired) or never.",
        )
    return found.value == "auto"


def _rate(found: Found) -> float:
    rate = size(found)
    if rate < 1:
        raise UsageError(
            f"{found.origin}: {found.value!r} (bytes per second, at least 1)",
            hint="Write it as 500k or 50M.",
        )
    return rate
