"""Types of options that click does not have."""

from typing import Any

import click

#: What `--parallel-…-count auto` stands for.
AUTO = "auto"


class ParallelCount(click.IntRange):
    """1 to 1000, or `auto`."""

    name = "number or auto"

    def __init__(self) -> None:
        super().__init__(1, 1000)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number, or AUTO."""
        if isinstance(value, str) and value.lower() == AUTO:
            return AUTO
        return super().convert(value, param, ctx)
