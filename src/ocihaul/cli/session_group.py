"""`ocihaul session …`: the group and its commands."""

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.session_login import login
from ocihaul.cli.session_mint import mint


@click.group("session")
@global_options(hidden=True)
def session() -> None:
    """Sessions: opening them, what state they are in, and how they are kept alive."""


session.add_command(login)
session.add_command(login, "authenticate")
session.add_command(mint)
