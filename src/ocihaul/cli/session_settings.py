"""What the commands around a session share: which profiles, with which settings.

These commands are about session tokens, whatever `--auth` says, and do without a region where
they do not need one.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import click

from ocihaul.cli.global_options import Given
from ocihaul.cli.surroundings import surroundings
from ocihaul.config import Settings, load_rc, profile_name, resolve
from ocihaul.errors import ConfigError, UsageError

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

RENEW_WITH = "OCIHAUL_RENEW_WITH"

#: `--profile`, several times.
several_profiles: Callable[[Decorated], Decorated] = click.option(
    "--profile",
    "profiles",
    multiple=True,
    help="The profile in the configuration file; may be given several times. [DEFAULT]",
)


def minting_options(command: Decorated) -> Decorated:
    """The options of the rung that opens a new session with an API key."""
    command = click.option(
        "--session-expiration-in-minutes",
        "minutes",
        type=click.IntRange(min=1),
        help="The life to ask for in a minted session. [the service's choice]",
    )(command)
    return click.option(
        "--renew-with",
        envvar=RENEW_WITH,
        help=f"An API-key profile that opens a new session when this one ends. [{RENEW_WITH}]",
    )(command)


def chosen_profiles(given: Given, profiles: Sequence[str]) -> list[str]:
    """The names to work on, each once; the one that the configuration leads to by default."""
    if profiles:
        return list(dict.fromkeys(profiles))
    environ, home = surroundings()
    flags = given.flags()
    return [profile_name(flags, environ, load_rc(flags, environ, home))]


def session_settings(given: Given, profile: str, *, command: Sequence[str]) -> Settings:
    """The settings of one profile's session. Raises ConfigError."""
    environ, home = surroundings()
    flags = replace(given.flags(), profile=profile, auth="security_token")
    return resolve(flags, environ, home, command=command, needs_region=False)


def minting_settings(
    given: Given, profile: str | None, *, command: Sequence[str]
) -> Settings | None:
    """The settings of the API-key profile named by `--renew-with`; None without one."""
    if not profile:
        return None
    environ, home = surroundings()
    # What the environment says of the session's own key does not hold for this profile.
    hidden = ("OCI_CLI_KEY_FILE", "OCI_CLI_KEY_CONTENT", "OCI_CLI_PASSPHRASE")
    environ = {name: value for name, value in environ.items() if name not in hidden}
    flags = replace(given.flags(), profile=profile, auth="api_key")
    try:
        return resolve(flags, environ, home, command=command, needs_region=False)
    except (ConfigError, UsageError) as error:
        raise ConfigError(f"--renew-with {profile}: {error.message}", hint=error.hint) from error
