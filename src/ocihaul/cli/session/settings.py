"""What the commands around a session share: which profiles, with which settings.

These commands are about session tokens, whatever `--auth` says, and do without a region where
they do not need one.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import click

from ocihaul.cli.environment import environment_and_home
from ocihaul.cli.global_options import Given
from ocihaul.config import Settings, load_rc, profile_name, resolve

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

#: `--profile`, several times.
several_profiles: Callable[[Decorated], Decorated] = click.option(
    "--profile",
    "profiles",
    multiple=True,
    help="The profile in the configuration file; may be given several times. [DEFAULT]",
)


def chosen_profiles(given: Given, profiles: Sequence[str]) -> list[str]:
    """The names to work on, each once; the one that the configuration leads to by default."""
    if profiles:
        return list(dict.fromkeys(profiles))
    environ, home = environment_and_home()
    flags = given.flags()
    return [profile_name(flags, environ, load_rc(flags, environ, home))]


def session_settings(given: Given, profile: str, *, command: Sequence[str]) -> Settings:
    """The settings of one profile's session. Raises ConfigError."""
    environ, home = environment_and_home()
    flags = replace(given.flags(), profile=profile, auth="security_token")
    return resolve(flags, environ, home, command=command, needs_region=False)
