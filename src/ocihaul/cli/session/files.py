"""`session export`, `import` and `terminate`: a session's files, brought elsewhere or removed."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.process import environment_and_home
from ocihaul.cli.signals import prompt, yes_or_no
from ocihaul.config import load_rc, profile_name
from ocihaul.config.sources import config_file_path
from ocihaul.errors import ConfigError

if TYPE_CHECKING:
    from ocihaul.session.credential import SessionToken
    from ocihaul.session.login.profile_paths import ProfilePaths


#: What every archive's name ends with, as the official CLI has it.
_SUFFIX = ".zip"


@click.command("export")
@click.option(
    "--output-file",
    required=True,
    metavar="PATH",
    help="The archive to write, without its suffix .zip.",
)
@click.option("--force", is_flag=True, help="Replace an archive that exists, without a question.")
@global_options(hidden=True)
@click.pass_context
def export(context: click.Context, /, *, output_file: str, force: bool, **_: object) -> None:
    """Write a session (key, token and profile) to a ZIP file, for `session import` elsewhere.

    The official CLI reads and writes the same archives. The file is a secret: with it anyone can
    act as you until the session ends.
    """
    raise click.exceptions.Exit(_export(context.ensure_object(Given), output_file, force=force))


@click.command("import")
@click.option(
    "--session-archive", required=True, metavar="PATH", help="The archive of `session export`."
)
@click.option("--profile-name", help="The profile to write. [that of the archive]")
@click.option("--force", is_flag=True, help="Replace a profile that exists, without a question.")
@click.option(
    "--from-home",
    is_flag=True,
    help="Name the files from ~, as a container that mounts ~/.oci needs it. [whole paths]",
)
@global_options(hidden=True)
@click.pass_context
def import_session(
    context: click.Context,
    /,
    *,
    session_archive: str,
    profile_name: str | None,
    force: bool,
    from_home: bool,
    **_: object,
) -> None:
    """Write the session of an archive to the config file and to ~/.oci/sessions.

    The archive may come from `ocihaul session export` or from the official CLI.
    """
    given = context.ensure_object(Given)
    code = _import(
        given, session_archive, profile_name=profile_name, force=force, from_home=from_home
    )
    raise click.exceptions.Exit(code)


def _export(given: Given, output_file: str, *, force: bool) -> int:
    from ocihaul.config.sources import expand_home
    from ocihaul.errors import CredentialError
    from ocihaul.session.login.archive import collect_session, pack
    from ocihaul.session.store import write_private

    environ, home = environment_and_home()
    flags = given.flags()
    profile = profile_name(flags, environ, load_rc(flags, environ, home))
    config_file = config_file_path(flags, environ, home)
    _notice(*given.notices())
    archive, token = collect_session(
        config_file, profile, home=home, passphrase=environ.get("OCI_CLI_PASSPHRASE")
    )
    target = expand_home(output_file + _SUFFIX, home)
    question = f"{target} exists already. Overwrite it? [y/N]:"
    if target.exists() and not force and not yes_or_no(sys.stdin, sys.stderr, question):
        _say("Export canceled.")
        return 0
    _say(f"Exporting profile {profile} of {config_file}")
    try:
        write_private(target, pack(archive))
    except OSError as error:
        raise CredentialError(
            f"the session archive {target} cannot be written: {error.strerror}",
            hint="Name a file in a directory that you may write in, with --output-file.",
        ) from error
    _say(f"Session archive written to: {target.absolute()}")
    _warn_of_end(token)
    _notice(
        f"{target.name} is a secret: with it anyone can act as you. Copy it over an encrypted "
        "connection, and delete it after the import."
    )
    return 0


def _import(
    given: Given, path: str, *, profile_name: str | None, force: bool, from_home: bool
) -> int:
    from ocihaul.config.sources import expand_home
    from ocihaul.session.login.archive import read_archive
    from ocihaul.session.login.profile_files import write_imported
    from ocihaul.session.login.profile_paths import find_paths, prepare

    environ, home = environment_and_home()
    config_file = config_file_path(given.flags(), environ, home)
    _notice(*given.notices())
    archive = read_archive(expand_home(path, home))
    passphrase = environ.get("OCI_CLI_PASSPHRASE")
    token = archive.check(passphrase)
    name = _free_name(profile_name or archive.profile, config_file, force=force)
    archive = replace(archive, profile=name)
    paths = find_paths(name, config_file=config_file, token_location=None, home=home)
    prepare(paths)
    write_imported(paths, archive, archive.public_key(passphrase), home=home if from_home else None)
    _tell_imported(paths, token)
    return 0


def _free_name(name: str, config_file: Path, *, force: bool) -> str:
    """Return a profile name that may be written. Raises ConfigError when there is none."""
    from ocihaul.config.ini import path_exists, read_ini
    from ocihaul.session.login.profile_paths import check_profile_name

    check_profile_name(name)
    present = read_ini(config_file) if path_exists(config_file) and not force else {}
    while name in present:
        try:
            name = prompt(f"{config_file} has a profile {name} already. Another name for this one")
        except click.Abort:
            raise ConfigError(
                f"{config_file} has a profile {name} already",
                hint="Choose another one with --profile-name, or replace it with --force.",
            ) from None
        check_profile_name(name)
    return name


def _tell_imported(paths: "ProfilePaths", token: "SessionToken") -> None:
    _say(f"Profile {paths.profile} imported to {paths.config_file}")
    _say(f"Use it with: --profile {paths.profile} --auth security_token")
    _warn_of_end(token)
    _notice("The archive is a secret; delete it now.")


def _warn_of_end(token: "SessionToken") -> None:
    import time

    from ocihaul.cli.session.login import lasting
    from ocihaul.quantities import utc_text

    if token.expires_at <= time.time():
        _notice(
            f"The token ended at {utc_text(token.expires_at)} and cannot be refreshed any more: "
            "log in again, then export."
        )
    else:
        _say(lasting(token))


def _say(text: str) -> None:
    from ocihaul.printing import say

    say(sys.stderr, text)


def _notice(*texts: str) -> None:
    from ocihaul.cli.session import say_notice

    for text in texts:
        say_notice(text)


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
    from ocihaul.session.lockfile import find_keepers
    from ocihaul.session.login.profile_files import remove_session, session_section
    from ocihaul.session.login.profile_paths import TOKEN_NAME, session_directory

    environ, home = environment_and_home()
    flags = given.flags()
    _notice(*given.notices())
    profile = profile_name(flags, environ, load_rc(flags, environ, home))
    config_file = config_file_path(flags, environ, home)
    if profile == "DEFAULT":
        raise ConfigError(
            "the DEFAULT profile cannot be terminated: other profiles inherit from it",
            hint="Choose a session with --profile.",
        )
    directory = session_directory(session_section(config_file, profile), home)
    keepers = () if directory is None else find_keepers(directory / TOKEN_NAME)
    removed = remove_session(config_file, profile, home=home)
    for path in removed.files:
        _say(f"Removed: {path}")
    _say(f"Profile {profile} removed from {config_file}")
    for holder in keepers:
        _notice(f"{holder} keeps this session alive: stop it, too")
    for path in removed.left:
        _notice(f"{path} was left: it may belong to something else")
    _notice(
        "A copy of key and token stays usable until the session ends: the service has no call "
        "that ends it"
    )
    return 0
