"""`session refresh`: one refresh, in the stock CLI's words."""

import click

from ocihaul.cli.exit_codes import DONE, FAILED
from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.session.settings import chosen_profiles, session_settings

COMMAND = ("session", "refresh")


@click.command("refresh")
@global_options(hidden=True)
@click.pass_context
def refresh(context: click.Context, /) -> None:
    """Refresh the session's token, for everybody who reads the file.

    The exit status is 1 when the session is over or the token's end did not move, and 75 when
    the auth service gave no usable answer: then the same command may work later.
    """
    given = context.ensure_object(Given)
    raise click.exceptions.Exit(_refresh(given))


def _refresh(given: Given) -> int:
    from ocihaul.cli.stopping import stopping
    from ocihaul.clock import ServerClock
    from ocihaul.errors import Interrupted, RenewalUnavailable, SessionOver
    from ocihaul.redaction import redact
    from ocihaul.session.moments import moment
    from ocihaul.session.opening import dialer_for, refresh_for, store_for
    from ocihaul.session.refreshing import ATTEMPTS, refresh_once

    (profile,) = chosen_profiles(given, ())
    settings = session_settings(given, profile, command=COMMAND)
    for text in [*settings.notices, *given.notices()]:
        click.echo(f"Notice: {text}", err=True)
    if settings.auth_endpoint:
        url = f"{settings.auth_endpoint}/v1/authentication/refresh"
        click.echo(f"Attempting to refresh token from {url}", err=True)
    with stopping() as stopper:
        try:
            refreshed = refresh_once(
                store_for(settings),
                refresh_for(settings, dialer_for(settings), ServerClock(), stopper.stop),
                timeout=settings.read_timeout,
                attempts=settings.max_attempts or ATTEMPTS,
                stop=stopper.stop,
            )
        except SessionOver as error:
            click.echo(redact(str(error)), err=True)
            return FAILED  # as the stock CLI: no later run of this command will succeed
        except RenewalUnavailable:
            if stopper.stop.is_set():
                raise Interrupted("stopped before the token was refreshed") from None
            raise
    if refreshed.by_another:
        click.echo("Another process has just refreshed it", err=True)
    click.echo("Successfully refreshed token", err=True)
    click.echo(f"It is valid until {moment(refreshed.token.expires_at)}", err=True)
    return DONE
