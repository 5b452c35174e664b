"""`session validate`: whether the session is valid, in the official CLI's words. Never prompts."""

import time

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
from ocihaul.clock import local_time

COMMAND = ("session", "validate")
#: What the official CLI asks: every user may list the regions.
LIST_REGIONS = "/20160918/regions"


@click.command("validate")
@several_profiles
@click.option("--local", is_flag=True, help="Look at the token's expiry only.")
@global_options(hidden=True, without=("profile",))
@click.pass_context
def validate(context: click.Context, /, *, profiles: tuple[str, ...], local: bool) -> None:
    """Test whether sessions are valid, by a call that needs them.

    Tokens are neither renewed nor changed. The exit status is 1 when one is not valid, and 75
    when the service could not be asked.
    """
    given = context.ensure_object(Given)
    names = chosen_profiles(given, profiles)
    for text in given.notices():
        say_notice(text)
    code = for_each(
        names, lambda name, say: _validate(given, name, say, local=local), debug=given.debug
    )
    raise click.exceptions.Exit(code)


def _validate(given: Given, profile: str, say: Say, *, local: bool) -> int:
    from ocihaul.session.session import store_for

    settings = session_settings(given, profile, command=COMMAND)
    for text in map(in_flags, settings.notices):
        say(f"Notice: {text}")
    pair = store_for(settings).read()
    if local:
        if time.time() >= pair.token.expires_at:
            say("Session has expired")
            return FAILED
    else:
        from ocihaul.errors import ConfigError, NetworkError
        from ocihaul.session.diagnostics.probe import probe_signed
        from ocihaul.session.session import dialer_for

        url = settings.identity_endpoint()
        if url is None:
            raise ConfigError(
                "no region is known, so there is no address to ask",
                hint="Give --region or --endpoint; or say --local to look at the expiry only.",
            )
        reply = probe_signed(
            dialer_for(settings),
            url,
            LIST_REGIONS,
            token=pair.token,
            key=pair.key,
            timeout=settings.read_timeout,
        )
        if reply.status == 401:
            say("Session was deemed invalid by service")
            return FAILED
        # 403 and 404 are said to somebody whom the service has recognised.
        if reply.status not in {200, 403, 404}:
            why = reply.error or f"it answered {reply.status} {reply.code or ''}".rstrip()
            raise NetworkError(f"{reply.url} could not be asked: {why}", hint=reply.cure)
    expiry = local_time(pair.token.expires_at)
    say(f"Session is valid until {expiry:%Y-%m-%d %H:%M:%S}")
    return DONE
