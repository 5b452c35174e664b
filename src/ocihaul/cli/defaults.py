"""Values for options that are not on the command line: `--from-json` first, then the rc file.

What belongs here: finding the text of a default and turning it into the option's type. What the
options are is in the commands.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from ocihaul.cli.option_types import JsonObject
from ocihaul.config import RcFile
from ocihaul.config.rcfile import expand_home
from ocihaul.documents import DocumentError, is_utf8, read_object, read_text
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


@dataclass(frozen=True, slots=True)
class Defaults:
    """Where the options of one command are looked up when they are not given."""

    rc: RcFile
    profile: str
    command: Sequence[str]
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def from_rc(self, *names: str) -> str | None:
        """The rc file's text for an option called `names`."""
        return self.rc.default(self.profile, self.command, *names)

    def value(self, option: click.Option) -> Any:
        """The default of `option`, converted to its type; None when there is none."""
        wanted = {_plain(name) for name in option.opts}
        for key in self.document:
            if _plain(key) in wanted:
                return self._from_document(option, key)
        names = [name.lstrip("-") for name in option.opts]
        text = self.from_rc(*names)
        if text is None:
            return None
        kind = click.BOOL if option.is_flag else option.type
        return self.converted(kind, text, names[-1])

    def converted(self, kind: Any, text: str, name: str) -> Any:
        """The rc file's `text` as a value of click's type `kind`; raises UsageError."""
        try:
            return click.types.convert_type(kind)(text, None, None)
        except click.BadParameter as error:
            raise UsageError(
                f"{self.rc.path}, section [{self.profile}]: the default for {name}: {error.message}"
            ) from None

    def _from_document(self, option: click.Option, key: str) -> Any:
        value = self.document[key]
        if value is None or (isinstance(value, dict) and isinstance(option.type, JsonObject)):
            return value
        if option.multiple:
            several = value if isinstance(value, list) else [value]
            return [_converted(option, key, each) for each in several]
        return _converted(option, key, value)


def _converted(option: click.Option, key: str, value: object) -> Any:
    if isinstance(value, dict | list | None):
        raise UsageError(f"--from-json: {key}: the value has to be a text, a number, or true")
    kind: Any = click.BOOL if option.is_flag else option.type
    text = value if isinstance(value, str) else json.dumps(value)
    if "\0" in text or not is_utf8(text):
        raise UsageError(f"--from-json: {key}: no option can have these characters")
    try:
        return kind(text, None, None)
    except click.BadParameter as error:
        raise UsageError(f"--from-json: {key}: {error.message}") from None


def check_document(document: Mapping[str, Any], options: Sequence[click.Option]) -> None:
    """Refuse keys that mean nothing: a misspelt one would silently change the upload."""
    known = {camel(name) for option in options for name in option.opts}
    plain = {_plain(name) for name in known}
    for key in document:
        if _plain(key) not in plain:
            near = difflib.get_close_matches(key, known, n=1)
            raise UsageError(
                f"--from-json: there is no option {key!r}",
                hint=f"Did you mean {near[0]!r}?" if near else "Keys are written like bucketName.",
            )
