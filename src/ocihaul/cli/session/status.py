"""`session status` and `session validate`: what is known of sessions, and are they valid?"""

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.exit_codes import DONE, FAILED
from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.session.profiles import (
    Say,
    chosen_profiles,
    for_each,
    say_notice,
    session_settings,
    several_profiles,
)

if TYPE_CHECKING:
    from ocihaul.cli.session.report import Report


_STATUS = ("session", "status")


@click.command("status")
@several_profiles
@click.option("--online", is_flag=True, help="Ask the auth service for its time as well.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as --output json does.")
@global_options(hidden=True, without=("profile",))
@click.pass_context
def status(
    context: click.Context,
    /,
    *,
    profiles: tuple[str, ...],
    online: bool,
    as_json: bool,
) -> None:
    """Tell how long sessions last, how they are renewed, and whether they can be used.

    Nothing is sent anywhere, unless --online asks for the service's time. The exit status is 0
    when every session can be used, 1 otherwise.
    """
    given = context.ensure_object(Given)
    names = chosen_profiles(given, profiles)
    reports = [_report(given, name, online=online) for name in names]
    if as_json or given.values.get("output") or given.values.get("query"):
        _print_json(given, [each.document() for each in reports])
    else:
        from ocihaul.printing import say

        for number, each in enumerate(reports):
            say(sys.stdout, *([""] if number else []), *each.lines())
    usable = all(each.usable for each in reports)
    raise click.exceptions.Exit(DONE if usable else FAILED)


def _report(given: Given, profile: str, *, online: bool) -> "Report":
    from ocihaul.cli.session.report import Report
    from ocihaul.errors import OcihaulError
    from ocihaul.session.diagnostics.snapshot import take_snapshot

    now = time.time()
    try:
        settings = session_settings(given, profile, command=_STATUS)
        seen = take_snapshot(settings)
    except OcihaulError as error:
        return Report(profile, now, problem=error)
    reply = None
    if online and (settings.auth_endpoint or settings.endpoint):
        from ocihaul.session.diagnostics.probe import probe_clock
        from ocihaul.session.session import dialer_for

        url = settings.auth_endpoint or settings.endpoint or ""
        reply = probe_clock(dialer_for(settings), url, timeout=settings.connection_timeout)
    return Report(profile, now, seen=seen, reply=reply)


def _print_json(given: Given, documents: list[dict[str, Any]]) -> None:
    from ocihaul.cli.output import EMPTY_RESULT, make_view, print_view
    from ocihaul.cli.process import environment_and_home
    from ocihaul.config import load_rc
    from ocihaul.printing import say

    environ, home = environment_and_home()
    view = make_view(
        output=given.values.get("output"),
        query=given.values.get("query"),
        raw=bool(given.values.get("raw_output")),
        queries=load_rc(given.flags(), environ, home).queries,
    )
    text = view.render({"data": documents})
    if text is None:
        say(sys.stderr, EMPTY_RESULT)
    else:
        print_view(sys.stdout, view, text)


_VALIDATE = ("session", "validate")
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
    from ocihaul.clock import local_time
    from ocihaul.session.session import store_for

    settings = session_settings(given, profile, command=_VALIDATE)
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
