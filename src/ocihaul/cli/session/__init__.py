"""`ocihaul session …`: the group and what its commands share: profiles, and their settings."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import click

from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.groups import Tree
from ocihaul.cli.process import environment_and_home, exit_code, worst
from ocihaul.config import Settings, load_rc, profile_name, resolve


@click.group("session", cls=Tree)
@global_options(hidden=True)
def session() -> None:
    """Sessions: opening them, what state they are in, and how they are kept alive."""


session.add_places(
    {
        "login": "session.login:login",
        "authenticate": "session.login:login",
        "mint": "session.renew:mint",
        "status": "session.status:status",
        "refresh": "session.renew:refresh",
        "export": "session.files:export",
        "import": "session.files:import_session",
        "terminate": "session.files:terminate",
        "validate": "session.status:validate",
        "keep": "session.renew:keep",
    }
)


Decorated = TypeVar("Decorated", bound=Callable[..., Any])

#: `--profile`, several times.
several_profiles: Callable[[Decorated], Decorated] = click.option(
    "--profile",
    "profiles",
    multiple=True,
    help="The profile in the configuration file; may be given several times. [DEFAULT]",
)


def chosen_profiles(given: Given, profiles: Sequence[str]) -> list[str]:
    """Return the profile names, each once; by default the one that the configuration names."""
    if profiles:
        return list(dict.fromkeys(profiles))
    environ, home = environment_and_home()
    flags = given.flags()
    return [profile_name(flags, environ, load_rc(flags, environ, home))]


def session_settings(given: Given, profile: str, *, command: Sequence[str]) -> Settings:
    """Return the settings of one profile's session. Raises ConfigError.

    These commands are about session tokens, whatever `--auth` says, and need no region.
    """
    environ, home = environment_and_home()
    flags = replace(given.flags(), profile=profile, auth="security_token")
    return resolve(flags, environ, home, command=command, needs_region=False)


#: Prints text for people on stderr; its line breaks are our own.
Say = Callable[[str], None]


def for_each(
    profiles: Sequence[str], act: Callable[[str, Say], int], *, debug: bool = False
) -> int:
    """Call `act` for each profile, and return the worst of the exit statuses.

    With several profiles, its output and its errors carry the profile's name, and the error of one
    does not stop the others. Raises TransferCancelled, and what `act` raises for a single profile.
    """
    from ocihaul.cli.error_text import error_text
    from ocihaul.errors import OcihaulError, TransferCancelled

    if len(profiles) == 1:
        return act(profiles[0], _speaker(""))
    codes = []
    for profile in profiles:
        say = _speaker(f"{profile}: ")
        try:
            codes.append(act(profile, say))
        except TransferCancelled:
            raise
        except OcihaulError as error:
            say(error_text(error, debug=debug))
            codes.append(exit_code(error))
    return worst(codes)


def say_notice(text: str) -> None:
    """Print a notice on stderr that belongs to no profile."""
    from ocihaul.printing import say

    say(sys.stderr, f"Notice: {text}")


def _speaker(label: str) -> Say:
    def tell(text: str) -> None:
        from ocihaul.printing import say_text

        say_text(sys.stderr, "\n".join(f"{label}{line}" for line in text.split("\n")))

    return tell
