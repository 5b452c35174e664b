"""Types of options that click does not have."""

import math
import re
from datetime import UTC, datetime
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


class PartSize(click.ParamType[int]):
    """A number of MiB, as in the official CLI, or a size with its unit; the value is bytes.

    `least` and `most` are for numbers of MiB.
    """

    name = "size"

    def __init__(self, least: int | None = None, most: int | None = None) -> None:
        self._plain = click.IntRange(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Bytes."""
        match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,6})?)\s*([a-z]+)", _text(value), re.ASCII)
        if match is None:
            return self._plain.convert(value, param, ctx) * 2**20
        from ocihaul.config.settings import SIZES

        count = float(match[1]) if "." in match[1] else int(match[1])
        size = int(count * SIZES.get(match[2], 0))
        if not size:
            self.fail(f"{value!r} is no size; write 128 (MiB), 10M, 50MB or 50000000B", param, ctx)
        return size


def _text(value: object) -> str:
    return str(value).strip().lower()


class OptionalHours(click.IntRange):
    """A number of hours, or nothing after the option: then the service's own number."""

    name = "hours"
    DEFAULT = "default"

    def __init__(self) -> None:
        super().__init__(1, 240)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number, or DEFAULT."""
        if value == self.DEFAULT:
            return value
        return super().convert(value, param, ctx)


class FiniteRange(click.FloatRange):
    """A range of numbers, to which neither NaN nor infinity belongs."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


class JsonObject(click.types.StringParamType):
    """A JSON object as text, or `file://path`; in `--from-json` it may stand as it is."""

    name = "json"


class Moment(click.types.StringParamType):
    """A time, in any of the official CLI's forms; the value is RFC 3339 in UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As the service wants it; a time without an offset is UTC, a number is Unix time."""
        text = str(value).strip()
        try:
            if text.isascii() and text.isdigit() and len(text) != 8:  # 20300131 is a date
                moment = datetime.fromtimestamp(int(text), UTC)
            else:
                moment = datetime.fromisoformat(text)
                moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!a} is no time; write it like 2030-01-31T12:00:00Z", param, ctx)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
