"""Values for options that are not on the command line: `--from-json` first, then the rc file.

What belongs here: finding the text of a default and turning it into the option's type. What the
options are is in the commands.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import click

from ocihaul.cli.option_types import JsonObject
from ocihaul.config import RcFile
from ocihaul.config.sources import expand_home
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

    rc: RcFile
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
