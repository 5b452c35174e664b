"""JSON that others wrote: read within limits, and its fields by their types; pure.

What belongs here: the one way from such a text to a value. It is for the answers of services,
claims in tokens, `--from-json`, receipts, and what a disk may have spoilt. Callers turn
DocumentError into the error of their own boundary; its message says what the text or the field
*is* ("nested deeper than 64 levels") and never quotes a text, which may be a secret.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: The longest text that is read, bytes: the largest page of a list has about 6 MiB.
MOST_BYTES = 64 * 2**20
#: How deep lists and objects may be nested. Python's own limit is that of the whole stack.
MOST_LEVELS = 64
#: The last second of the year 9999, epoch seconds: no calendar tells what is later.
LAST_MOMENT = 253402300799.0
#: Whole numbers are below this: they have at most 18 digits and fit a cell of SQLite.
TOO_LARGE = 10**18


class DocumentError(ValueError):
    """This is no JSON, or it is not of the expected shape."""


def read_json(text: str | bytes, *, most: int = MOST_BYTES) -> Any:
    """The value of a JSON text of at most `most` characters or bytes. Raises DocumentError.

    NaN and Infinity are no JSON, and neither is a number too large for a float. A byte that is no
    UTF-8 becomes a lone surrogate in its text, so that it costs that text alone (see `text`).
    What is kept of the value beyond single fields has to go through `whole_object`.
    """
    if len(text) > most:
        raise DocumentError(f"longer than {most} bytes")
    if isinstance(text, bytes):
        text = text.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise DocumentError(f"not JSON (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # NaN, Infinity, a number of thousands of digits
        raise DocumentError("not JSON (it has a number that cannot be)") from None
    return value


def read_object(text: str | bytes, *, most: int = MOST_BYTES) -> dict[str, Any]:
    """The JSON object that a text is, as `whole_object` has it. Raises DocumentError."""
    return whole_object(read_json(text, most=most))


def read_text(path: Path, *, most: int = MOST_BYTES, errors: str = "strict") -> str:
    """A file of at most `most` bytes, in UTF-8. Raises OSError, and DocumentError for what is none.

    A path may lead to a device that never ends.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except ValueError:  # a path with a NUL in it
        raise DocumentError("not the name of a file") from None
    if len(data) > most:
        raise DocumentError(f"longer than {most} bytes")
    try:
        return data.decode("utf-8-sig", errors)
    except UnicodeDecodeError:
        raise DocumentError("not text in UTF-8") from None


def text(document: Mapping[str, Any], key: str) -> str:
    """The text of a field. Raises DocumentError when it is none, or has no form in UTF-8."""
    value = document.get(key)
    if type(value) is str and (value.isascii() or is_utf8(value)):
        return value
    raise _wrong(key, value, "a text")


def text_or_none(document: Mapping[str, Any], key: str) -> str | None:
    """The same for a field that may be missing or null."""
    value = document.get(key)
    if value is None or (type(value) is str and (value.isascii() or is_utf8(value))):
        return value
    raise _wrong(key, value, "a text")


def whole_number(document: Mapping[str, Any], key: str) -> int:
    """The number of a field, 0 or more. Raises DocumentError for any other value."""
    value = document.get(key)
    if type(value) is int and 0 <= value < TOO_LARGE:
        return value
    raise _wrong(key, value, f"a whole number from 0 to {TOO_LARGE - 1}")


def whole_number_or_none(document: Mapping[str, Any], key: str) -> int | None:
    """The same for a field that may be missing or null."""
    return None if document.get(key) is None else whole_number(document, key)


def object_of(value: object) -> dict[str, Any]:
    """`value`, if it is a JSON object. Raises DocumentError."""
    if type(value) is not dict:
        raise DocumentError(f"not a JSON object, but {_kind(value)}")
    return value


def object_at(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The JSON object of a field. Raises DocumentError."""
    value = document.get(key)
    if type(value) is not dict:
        raise _wrong(key, value, "a JSON object")
    return value


def whole_object(value: object) -> dict[str, Any]:
    """The same; nested at most MOST_LEVELS deep, so that it can be shown and written as it is."""
    document = object_of(value)
    level: list[Any] = [document]
    for _ in range(MOST_LEVELS):
        level = [
            each
            for outer in level
            for each in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(each, dict | list)
        ]
        if not level:
            return document
    raise _too_deep()


def list_of(value: object) -> list[Any]:
    """`value`, if it is a JSON list. Raises DocumentError."""
    if type(value) is not list:
        raise DocumentError(f"not a JSON list, but {_kind(value)}")
    return value


def is_utf8(value: str) -> bool:
    """Whether a text has a form in UTF-8: one with a lone surrogate has none."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep() -> DocumentError:
    return DocumentError(f"nested deeper than {MOST_LEVELS} levels")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in _INFINITE:
        raise ValueError("too large for a float")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _wrong(key: str, value: object, right: str) -> DocumentError:
    if isinstance(value, str) and not is_utf8(value):
        return DocumentError(f"{key} is not text in UTF-8")
    shown = f"{value}"[:24] if isinstance(value, int | float) else _kind(value)
    return DocumentError(f"{key} is {shown}, not {right}")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null"}
    return names.get(type(value), "a number or truth value")


_INFINITE = (float("inf"), float("-inf"))
_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
