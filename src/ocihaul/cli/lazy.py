"""Groups that import a command when it is asked for: most runs need one of them."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose commands may be known by their places alone."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._places: dict[str, str] = {}

    def add_places(self, places: Mapping[str, str]) -> None:
        """Add commands by name; a place is `module:attribute`, the module one of this package."""
        self._places.update(places)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return sorted({*super().list_commands(ctx), *self._places})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported if need be."""
        if cmd_name in self._places:
            module, _, attribute = self._places[cmd_name].partition(":")
            command = getattr(import_module(f"ocihaul.cli.{module}"), attribute)
            if not isinstance(command, click.Command):
                raise TypeError(f"{self._places[cmd_name]} is no command")
            return command
        return super().get_command(ctx, cmd_name)
