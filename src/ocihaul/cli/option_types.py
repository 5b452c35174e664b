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


class OptionalHours(click.IntRange):
    """A number of hours, or nothing after the option: then the service's own number."""

    name = "hours"
    DEFAULT = "default"

    def __init__(self) -> None:
        super().__init__(1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number, or DEFAULT."""
        if value == self.DEFAULT:
            return value
        return super().convert(value, param, ctx)
