"""`ocihaul session …`: the group and its commands."""

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.groups import Tree


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
        "keep": "session.keep:keep",
    }
)
