"""`session refresh` and `session mint`: a newer token for a session, asked for by hand."""

import sys
from typing import Any

import click

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.exit_codes import DONE, FAILED
from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.process import environment_and_home
from ocihaul.cli.session import (
    Say,
    chosen_profiles,
    for_each,
    say_notice,
    session_settings,
    several_profiles,
)
from ocihaul.errors import UsageError

_REFRESH = ("session", "refresh")


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
    from ocihaul.session.providers import ATTEMPTS, refresh_once
    from ocihaul.session.session import dialer_for, refresh_for, store_for

    settings = session_settings(given, profile, command=_REFRESH)
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


_MINT = ("session", "mint")


@click.command("mint")
@global_options(hidden=True)
@click.pass_context
def mint(context: click.Context, /, **_: Any) -> None:
    """Mint a new token for the profile's own key, with the API key of --renew-with.

    The key stays, so every copy of it stays good: only the token is replaced.
    """
    raise click.exceptions.Exit(_mint(context.ensure_object(Given)))


def _mint(given: Given) -> int:
    from dataclasses import replace

    from ocihaul.cli.session.login import lasting, run_mint, say_event
    from ocihaul.cli.signals import stopping
    from ocihaul.config import resolve
    from ocihaul.printing import say
    from ocihaul.session.login.profile_files import write_token
    from ocihaul.session.session import public_key_of, store_for

    environ, home = environment_and_home()
    flags = replace(given.flags(), auth="security_token")
    settings = resolve(flags, environ, home, command=_MINT)
    for text in [*map(in_flags, settings.notices), *given.notices()]:
        say_notice(text)
    if settings.minting is None or settings.token_file is None:
        raise UsageError(
            "--renew-with is missing",
            hint="Name the profile of the config file whose API key signs, or set "
            "OCIHAUL_RENEW_WITH.",
        )
    with stopping() as stopper:
        token = run_mint(
            settings.minting,
            public_key_of(settings),
            minutes=settings.session_options.minutes,
            listener=say_event,
            stop=stopper.stop,
        )
    write_token(store_for(settings), token)
    say(sys.stderr, lasting(token), f"Token written to: {settings.token_file}")
    return 0
