"""`session terminate`: remove a session from this machine."""

import sys

import click

from ocihaul.cli.environment import environment_and_home
from ocihaul.cli.global_options import Given, global_options
from ocihaul.config import load_rc, profile_name
from ocihaul.config.sources import config_file_path
from ocihaul.errors import ConfigError


@click.command("terminate")
@global_options(hidden=True)
@click.pass_context
def terminate(context: click.Context, /, **_: object) -> None:
    """Remove a session: its key and token, and its profile in the config file.

    Like the official CLI's command, this ends nothing at the service: a copy of key and token stays
    usable until the session ends.
    """
    raise click.exceptions.Exit(_terminate(context.ensure_object(Given)))


def _terminate(given: Given) -> int:
    from ocihaul.cli.session.profiles import say_notice
    from ocihaul.printing import say
    from ocihaul.session.lockfile import find_keepers
    from ocihaul.session.login.profile_files import remove_session, session_section
    from ocihaul.session.login.profile_paths import session_directory

    environ, home = environment_and_home()
    flags = given.flags()
    for text in given.notices():
        say_notice(text)
    profile = profile_name(flags, environ, load_rc(flags, environ, home))
    config_file = config_file_path(flags, environ, home)
    if profile == "DEFAULT":
        raise ConfigError(
            "the DEFAULT profile cannot be terminated: other profiles inherit from it",
            hint="Choose a session with --profile.",
        )
    directory = session_directory(session_section(config_file, profile), home)
    keepers = () if directory is None else find_keepers(directory / "token")
    removed = remove_session(config_file, profile, home=home)
    for path in removed.files:
        say(sys.stderr, f"Removed: {path}")
    say(sys.stderr, f"Profile {profile} removed from {config_file}")
    for holder in keepers:
        say_notice(f"{holder} keeps this session alive: stop it, too")
    for path in removed.left:
        say_notice(f"{path} was left: it may belong to something else")
    say_notice(
        "A copy of key and token stays usable until the session ends: the service has no call "
        "that ends it"
    )
    return 0
