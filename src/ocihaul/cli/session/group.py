"""`ocihaul session …`: the group and its commands."""

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.passthrough import Tree


@click.group("session", cls=Tree)
@global_options(hidden=True)
def session() -> None:
    """Sessions: opening them, what state they are in, and how they are kept alive."""


session.add_places(
    {
        "login": "session.login:login",
        "authenticate": "session.login:login",
        "mint": "session.mint:mint",
        "status": "session.status:status",
        "refresh": "session.refresh:refresh",
        "export": "session.archive:export",
        "import": "session.archive:import_session",
        "terminate": "session.terminate:terminate",
        "validate": "session.validate:validate",
        "keep": "session.keep:keep",
    }
)
