"""`session mint`: another token for the key that a session has, signed for by an API key."""

import sys
from typing import Any

import click

from ocihaul.cli.environment import environment_and_home
from ocihaul.cli.flags import in_flags
from ocihaul.cli.global_options import Given, global_options
from ocihaul.errors import UsageError

COMMAND = ("session", "mint")


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

    from ocihaul.cli.session import login_core
    from ocihaul.cli.session.login import lasting, say_event
    from ocihaul.cli.session.profiles import say_notice
    from ocihaul.cli.signals import stopping
    from ocihaul.config import resolve
    from ocihaul.printing import say
    from ocihaul.session.login.profile_files import write_token
    from ocihaul.session.session import public_key_of, store_for

    environ, home = environment_and_home()
    flags = replace(given.flags(), auth="security_token")
    settings = resolve(flags, environ, home, command=COMMAND)
    for text in [*map(in_flags, settings.notices), *given.notices()]:
        say_notice(text)
    if settings.minting is None or settings.token_file is None:
        raise UsageError(
            "--renew-with is missing",
            hint="Name the profile of the config file whose API key signs, or set "
            "OCIHAUL_RENEW_WITH.",
        )
    with stopping() as stopper:
        token = login_core.run_mint(
            settings.minting,
            public_key_of(settings),
            minutes=settings.session_options.minutes,
            listener=say_event,
            stop=stopper.stop,
        )
    write_token(store_for(settings), token)
    say(sys.stderr, lasting(token), f"Token written to: {settings.token_file}")
    return 0
