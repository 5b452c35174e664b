"""`ocihaul session …`: the group and its commands."""

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.lazy import LazyGroup


@click.group("session", cls=LazyGroup)
@global_options(hidden=True)
def session() -> None:
    """Sessions: opening them, what state they are in, and how they are kept alive."""


session.add_places(
    {
        "login": "session_login:login",
        "authenticate": "session_login:login",
        "mint": "session_mint:mint",
        "status": "session_status:status",
        "refresh": "session_refresh:refresh",
        "validate": "session_validate:validate",
        "keep": "session_keep:keep",
    }
)
