"""`ocihaul session …`: the group and its commands."""

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.session.keep import keep
from ocihaul.cli.session.login import login
from ocihaul.cli.session.mint import mint
from ocihaul.cli.session.refresh import refresh
from ocihaul.cli.session.status import status
from ocihaul.cli.session.validate import validate


@click.group("session")
@global_options(hidden=True)
def session() -> None:
    """Sessions: opening them, what state they are in, and how they are kept alive."""


session.add_command(login)
session.add_command(login, "authenticate")
session.add_command(mint)
session.add_command(status)
session.add_command(refresh)
session.add_command(validate)
session.add_command(keep)
