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
        command: click.Command | None
        if cmd_name in self._places:
            module, _, attribute = self._places[cmd_name].partition(":")
            command = getattr(import_module(f"ocihaul.cli.{module}"), attribute)
            if not isinstance(command, click.Command):
                raise TypeError(f"{self._places[cmd_name]} is no command")
        else:
            command = super().get_command(ctx, cmd_name)
        if type(command) is click.Command:
            from ocihaul.cli.help import HelpCommand

            return HelpCommand.of(command)
        return command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Click's, in groups; the commands follow."""
        from ocihaul.cli.help import write_options

        write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Click's, but each with its whole first sentence."""
        from ocihaul.cli.help import write_commands

        write_commands(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Where the global options are."""
        super().format_epilog(ctx, formatter)
        from ocihaul.cli.help import write_end

        write_end(ctx, formatter)
