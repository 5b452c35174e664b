"""Options of commands: their types, checks of values, and the values of those not given.

`--from-json` comes first, then the rc file. What belongs here: finding the text of a default and
turning it into the type of its option, and what several commands check. Which options there are
is said in the commands.
"""

import difflib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ocihaul.documents import (
    DocumentError,
    is_utf8,
    list_of,
    read_json,
    read_object,
    read_text,
    whole_object,
)
from ocihaul.errors import UsageError

if TYPE_CHECKING:
    from ocihaul.config import RcFile
    from ocihaul.storage.values import SseCustomerKey


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


def camel(option: str) -> str:
    """The key of an option in a JSON document: `--bucket-name` → `bucketName`."""
    first, *rest = option.lstrip("-").split("-")
    return first + "".join(word.capitalize() for word in rest)


def _plain(key: str) -> str:
    """Keys are told apart by their letters: `bucketName`, `bucket-name` and `bucket_name`."""
    return key.replace("-", "").replace("_", "").lower()


def text_or_file(value: str, *, what: str, home: Path) -> str:
    """`value` itself, or the content of the file it names as `file://path`."""
    if not value.lower().startswith("file://"):
        return value
    from ocihaul.config.sources import expand_home

    path = expand_home(value[len("file://") :], home)
    try:
        return read_text(path)
    except (OSError, DocumentError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is {error}"
        raise UsageError(
            f"{what}: the file {path} cannot be read: {reason}",
            hint="Correct the path after file://",
        ) from None


def json_object(value: str, *, what: str, home: Path) -> dict[str, Any]:
    """The JSON object in `value` (or in the file that it names); raises UsageError."""
    text = text_or_file(value, what=what, home=home)
    try:
        return read_object(text)
    except DocumentError as error:
        raise UsageError(
            f"{what} is {error}", hint='It has the form \'{"key": "value"}\', or file://path.'
        ) from None


def json_list(value: str, *, what: str, home: Path) -> list[Any]:
    """The JSON list in `value` (or in the file that it names); raises UsageError."""
    text = text_or_file(value, what=what, home=home)
    try:
        return list_of(whole_object({"list": read_json(text)})["list"])
    except DocumentError as error:
        raise UsageError(
            f"{what} is {error}", hint='It has the form \'[{"key": "value"}]\', or file://path.'
        ) from None


class OptionOrigin(IntEnum):
    """Where a value comes from; the greater one wins."""

    NOWHERE = 0
    RC_FILE = 1
    DOCUMENT = 2
    COMMAND_LINE = 3


#: What only uploads have: `sync` has them for one of its directions.
OF_UPLOADS = (
    "metadata",
    "content_type",
    "content_language",
    "content_encoding",
    "content_disposition",
    "cache_control",
    "storage_tier",
)
#: Pairs of options (parameter names) of which a command takes one.
EXCLUSIVE = (
    ("force", "no_overwrite"),
    ("if_exists", "force"),
    ("if_exists", "no_overwrite"),
    ("overwrite", "no_overwrite"),
    ("src_dir", "dest_dir"),
    ("include", "exclude"),
    ("part_size", "no_multipart"),
    ("parallel_upload_count", "no_multipart"),
    ("parallel_upload_count", "disable_parallel_uploads"),
    *(("dest_dir", name) for name in OF_UPLOADS),
)


def drop_outvoted(values: dict[str, Any], origins: Mapping[str, OptionOrigin]) -> None:
    """Of two options that exclude each other keep the one that was given more explicitly.

    `values` and `origins` go by parameter names. Two from the same place stay: to take one of
    them would be a guess, so the command refuses both.
    """
    for pair in EXCLUSIVE:
        if all(values.get(name) for name in pair):
            stronger, weaker = sorted(pair, key=lambda name: origins[name], reverse=True)
            if origins[stronger] > origins[weaker]:
                values[weaker] = None


@dataclass(frozen=True, slots=True)
class Document:
    """The options of one `--from-json`; an empty one when there was none."""

    values: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, text: str, options: Sequence[click.Option], home: Path) -> "Document":
        """Raises UsageError for what is no JSON object, and for keys that mean nothing.

        A misspelt key would silently change what is done.
        """
        values = json_object(text, what="--from-json", home=home)
        known = {camel(name) for option in options for name in option.opts} - {"fromJson"}
        plain = {_plain(name) for name in known}
        for key in values:
            if _plain(key) not in plain:
                near = difflib.get_close_matches(key, known, n=1)
                raise UsageError(
                    f"--from-json: there is no option {key!r}",
                    hint=f"Did you mean {near[0]!r}?"
                    if near
                    else "Keys are written like bucketName.",
                )
        return cls(values)

    def value(self, option: click.Option) -> Any:
        """The value of `option`, converted to its type; None when there is none."""
        wanted = {_plain(name) for name in option.opts}
        key = next((key for key in self.values if _plain(key) in wanted), None)
        value = None if key is None else self.values[key]
        if value is None or (
            isinstance(value, dict | list) and isinstance(option.type, JsonObject)
        ):
            return value
        if option.multiple:
            several = value if isinstance(value, list) else [value]
            return [_converted(option, str(key), each) for each in several]
        return _converted(option, str(key), value)


def _converted(option: click.Option, key: str, value: object) -> Any:
    if isinstance(value, dict | list | None):
        raise UsageError(
            f"--from-json: {key}: {json.dumps(value)[:100]} is not one value",
            hint="Only options that may be repeated take a list.",
        )
    kind: Any = click.BOOL if option.is_flag else option.type
    text = value if isinstance(value, str) else json.dumps(value)
    if "\0" in text or not is_utf8(text):
        raise UsageError(f"--from-json: {key}: no option can have these characters")
    try:
        return kind(text, None, None)
    except click.BadParameter as error:
        raise UsageError(f"--from-json: {key}: {error.message}") from None


@dataclass(frozen=True, slots=True)
class Defaults:
    """Where the options of one command are looked up when they are not given."""

    rc: "RcFile"
    profile: str
    command: Sequence[str]
    document: Document = Document()

    def from_rc(self, *names: str) -> str | None:
        """The rc file's text for an option called `names`."""
        return self.rc.default(self.profile, self.command, *names)

    def value(self, option: click.Option) -> tuple[Any, OptionOrigin]:
        """The default of `option`, converted to its type, and its origin."""
        value = self.document.value(option)
        if value is not None:
            return value, OptionOrigin.DOCUMENT
        names = [name.lstrip("-") for name in option.opts]
        text = self.from_rc(*names)
        if text is None:
            return None, OptionOrigin.NOWHERE
        kind = click.BOOL if option.is_flag else option.type
        texts = text.splitlines() if option.multiple else [text]
        values = [self.converted(kind, each.strip(), names[-1]) for each in texts if each.strip()]
        return (tuple(values) if option.multiple else (values or [""])[0]), OptionOrigin.RC_FILE

    def converted(self, kind: Any, text: str, name: str) -> Any:
        """The rc file's `text` as a value of click's type `kind`; raises UsageError."""
        try:
            return click.types.convert_type(kind)(text, None, None)
        except click.BadParameter as error:
            raise UsageError(
                f"{self.rc.path}, section [{self.profile}]: the default for {name}: {error.message}"
            ) from None


_PLAIN_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
#: A key's base64 text has 44 characters; what is much longer is another file.
_LONGEST_KEY = 64 * 1024
_NAMESPACE = re.compile(r"[A-Za-z0-9_.-]+")


def check_required(options: Mapping[str, Any], *names: str) -> None:
    """Raise UsageError when one of `names` (parameter names) has no value from anywhere."""
    missing = [f"--{name.replace('_', '-')}" for name in names if not options.get(name)]
    if missing:
        raise UsageError(
            f"Missing option(s) {', '.join(missing)}.",
            hint=f"Give {'it' if len(missing) == 1 else 'them'} on the command line, in "
            "--from-json, or as a default in oci_cli_rc.",
        )


def refuse_both(options: Mapping[str, Any], one: str, other: str) -> None:
    """Raise UsageError when two options (parameter names) are given that exclude each other."""
    if all(options.get(name) not in (None, False, ()) for name in (one, other)):
        first, second = (f"--{name.replace('_', '-')}" for name in (one, other))
        raise UsageError(
            f"{first} and {second} exclude each other",
            hint="Leave one out, on the command line or in the rc file.",
        )


def namespace_or_none(value: str | None) -> str | None:
    """A namespace as it may be written; None where none is given: then the service is asked."""
    if value is None:
        return None
    if not _NAMESPACE.fullmatch(value):
        raise UsageError(
            f"--namespace {value!r} must contain only letters, digits, underscores, hyphens, "
            "and periods",
            hint="Leave it out, and the service is asked for it.",
        )
    return value


def age(value: str | None, option: str = "--older-than") -> float:
    """The seconds of `--older-than`, or another option; raises UsageError.

    A number without a unit is refused, too.

    Who writes 7 means days, and seconds would drop nearly everything.
    """
    from ocihaul.config.settings import Found, duration

    name = option.removeprefix("--").replace("-", "_")
    check_required({name: value}, name)
    text = str(value).strip()
    if _PLAIN_NUMBER.fullmatch(text) and text.strip("0."):
        raise UsageError(f"{option}: {text} has no unit", hint="Write it as 7d or 12h.")
    return duration(Found(text, option))


def customer_key(file: str | None, home: Path) -> "SseCustomerKey | None":
    """The customer's key in `file`; raises UsageError when it cannot be read or is none."""
    from ocihaul.redaction import hold_misplaced
    from ocihaul.storage.values import SseCustomerKey

    if file is None:
        return None
    if hold_misplaced(file):
        raise UsageError(
            "--encryption-key-file: this looks like the key itself, not like a file",
            hint="Put it in a file with mode 600, and name that; and make a new key, as others on "
            "this machine may have seen this one in the list of processes.",
        )
    from ocihaul.config.sources import expand_home

    path = expand_home(file, home)
    try:
        text = read_text(path, most=_LONGEST_KEY, errors="replace")
    except (OSError, DocumentError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is {error}"
        raise UsageError(
            f"--encryption-key-file: {path} cannot be read: {reason}",
            hint="Name the file with the base64 text of the AES-256 key.",
        ) from None
    return SseCustomerKey.from_text(text, where=f"--encryption-key-file {os.fspath(path)}")


def metadata(value: Any, home: Path) -> dict[str, str]:
    """Plain names and texts of `--metadata`; raises UsageError."""
    if value is None:
        return {}
    parsed = json_object(value, what="--metadata", home=home) if isinstance(value, str) else value
    if not isinstance(parsed, dict) or not all(isinstance(each, str) for each in parsed.values()):
        raise UsageError(
            "--metadata: every value has to be a string",
            hint='It has the form \'{"key1": "value1", "key2": "value2"}\'.',
        )
    return {key.lower().removeprefix("opc-meta-"): text for key, text in parsed.items()}
