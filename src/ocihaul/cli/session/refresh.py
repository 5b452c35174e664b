"""`session refresh`: one refresh, in the official CLI's words."""

import click

from ocihaul.cli.exit_codes import DONE, FAILED
from ocihaul.cli.flags import in_flags
from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.session.profiles import (
    Say,
    chosen_profiles,
    for_each,
    say_notice,
    session_settings,
    several_profiles,
)

COMMAND = ("session", "refresh")


@click.command("refresh")
@several_profiles
@global_options(hidden=True, without=("profile",))
@click.pass_context
def refresh(context: click.Context, /, *, profiles: tuple[str, ...]) -> None:
    """Refresh the tokens of sessions, for everybody who reads their files.

    The exit status is 1 when a session has expired or a token's end did not move, and 75 when the
    auth service gave no usable answer: then the same command may work later.
    """
    given = context.ensure_object(Given)
    names = chosen_profiles(given, profiles)
    for text in given.notices():
        say_notice(text)
    code = for_each(names, lambda name, say: _refresh(given, name, say), debug=given.debug)
    raise click.exceptions.Exit(code)


def _refresh(given: Given, profile: str, say: Say) -> int:
    from ocihaul.cli.signals import stopping
    from ocihaul.clock import ServerClock, moment
    from ocihaul.errors import RenewalUnavailable, SessionExpiredError, TransferCancelled
    from ocihaul.filesystem import UNSYNCED
    from ocihaul.session.manual_refresh import ATTEMPTS, refresh_once
    from ocihaul.session.session import dialer_for, refresh_for, store_for

    settings = session_settings(given, profile, command=COMMAND)
    for text in map(in_flags, settings.notices):
        say(f"Notice: {text}")
    if settings.auth_endpoint:
        url = f"{settings.auth_endpoint}/v1/authentication/refresh"
        say(f"Attempting to refresh token from {url}")
    store = store_for(settings)
    with stopping() as stopper:
        try:
            refreshed = refresh_once(
                store,
                refresh_for(settings, dialer_for(settings), ServerClock(), stopper.stop),
                timeout=settings.read_timeout,
                attempts=settings.max_attempts or ATTEMPTS,
                stop=stopper.stop,
            )
        except SessionExpiredError as error:
            say(str(error))
            return FAILED  # as the official CLI: no later run of this command will succeed
        except RenewalUnavailable:
            if stopper.stop.is_set():
                raise TransferCancelled("stopped before the token was refreshed") from None
            raise
    if refreshed.by_another:
        say("Another process has just refreshed it")
    if not store.durable:
        say(f"Notice: {UNSYNCED}")
    say("Successfully refreshed token")
    say(f"It is valid until {moment(refreshed.token.expires_at)}")
    return DONE
