"""Inputs that are nearly right: documents and texts with a few places changed.

Random text hardly ever gets past the first check of a parser. A valid input with one odd value in
it does.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

#: Characters that mean something to somebody: JSON, INI, URLs, headers, terminals, file systems.
_SPECIAL = "\0\t\n\r\x1b\x7f\x9b\u00b2\u0663\u202e\u2028\ufeff\ufffd\ud800\udc80\U0001f600"
_MARKS = " \"'\\/:;,.=&?#%@[]{}()<>|*$~-+_0189aAzZé"

_characters = st.sampled_from(_SPECIAL + _MARKS)
_words = st.sampled_from(
    (
        *(
            "",
            "0",
            "-1",
            "1e999",
            "NaN",
            "Infinity",
            "²",
            "٣",
            "9" * 30,
            "9" * 5000,
            "true",
            "null",
        ),
        *("..", "../../etc/passwd", "/etc/passwd", "a//b", "a\0b", "\ud800", "\udcff", "x" * 2000),
        *("a\r\nb: c", "a\tb", "é", "\x1b]0;x\x07", "\u202egpj", "_" * 300, "a b", "%00", "%ff"),
        *("1970-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
        *("2026-13-01T00:00:00Z", "2026-11-24T03:18:51.192Z", "1600-01-01T00:00:00Z"),
        *("http://h", "http://[::1", "http://h:99999", "http://a\0b", "//", "https://u:p@h/"),
    )
)
#: Any text, lone surrogates among it.
texts = _words | st.text(_characters, max_size=12) | st.text(max_size=8)

_numbers = st.sampled_from(
    (0, 1, -1, 2, 65536, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**18, 10**30, 10**400)
) | st.integers(-(10**6), 10**6)
_floats = st.sampled_from((0.0, -0.5, 1.5, 1e18, 1e308, -1e308, 5e-324))


def _nested(levels: int) -> object:
    value: object = "core"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


_trees = st.sampled_from(([], {}, [[]], {"a": {}}, ["a"], {"name": "x"}, _nested(60), _nested(70)))

#: Any value that JSON can have.
values: st.SearchStrategy[Any] = (
    texts | _numbers | st.sampled_from((None, True, False)) | _floats | _trees
)


def _places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(document, dict):
        for key, value in document.items():
            found += _places(value, (*path, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            found += _places(value, (*path, index))
    return found


def _changed(document: Any, path: Sequence[Any], change: str, value: Any) -> Any:
    if not path:
        return {"wrap": [document], "replace": value}.get(change, document)
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    last = path[-1]
    if change == "drop":
        del holder[last]
    elif change == "wrap":
        holder[last] = [holder[last]]
    elif change == "repeat" and isinstance(holder, list):
        holder.insert(last, copy.deepcopy(holder[last]))
    elif change == "rename" and isinstance(holder, dict):
        holder[f"{last}x"] = holder.pop(last)
    else:
        holder[last] = value
    return document


@st.composite
def spoilt(draw: st.DrawFn, document: Any) -> Any:
    """A valid document with up to three places dropped, replaced, nested, repeated or renamed."""
    result = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = _places(result)
        path = places[draw(st.integers(0, len(places) - 1))]
        # To replace finds most; the rest is for what must be there, or only once.
        changes = ("replace", "replace", "replace", "drop", "wrap", "repeat", "rename")
        change = draw(st.sampled_from(changes))
        result = _changed(result, path, change, draw(values) if change == "replace" else None)
    return result


_PIECES = (
    *(b"NaN", b"-Infinity", b"1e999", b"[" * 100_000, b'{"a":' * 70, b"\xff", b"\xed\xa0\x80"),
    *(
        b"\0",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b" ",
        b"\t",
        b'"',
        b"\\u0000",
        b"\\ud800",
        b"\xef\xbb\xbf",
    ),
    *(b"[x]\n", b"=", b": ", b"9" * 5000, b"%00", b"-", b"..", b"/", b"\xc2\xb2", b"\x1b["),
)


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """Bytes with up to three places cut, flipped, repeated, or with something odd put in."""
    data = bytearray(valid)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 8))
        change = draw(st.sampled_from(("insert", "cut", "flip", "repeat", "truncate")))
        if change == "insert":
            data[at:at] = draw(st.sampled_from(_PIECES))
        elif change == "cut":
            del data[at : at + length]
        elif change == "flip" and at < len(data):
            data[at] ^= 1 << (length % 8)
        elif change == "repeat":
            data[at:at] = data[at : at + length] * 3
        elif change == "truncate" and length == 0:
            del data[at:]
    return bytes(data)


def json_texts(document: Any) -> st.SearchStrategy[bytes]:
    """Texts of a document: mostly sound JSON with odd places, now and then no JSON at all."""
    whole = json.dumps(document).encode()
    sound = spoilt(document).map(lambda value: json.dumps(value).encode())
    return sound | sound | damaged(whole)


def damaged_texts(valid: str) -> st.SearchStrategy[str]:
    """The same for texts as Python has them, where bytes that are no UTF-8 are lone surrogates."""
    return damaged(valid.encode()).map(lambda data: data.decode(errors="surrogateescape"))


def sentences(*valid: str) -> st.SearchStrategy[str]:
    """What a person types: one of these as it is, one with a slip in it, or anything."""
    slips = st.sampled_from(valid).flatmap(damaged_texts)
    return st.sampled_from(valid) | slips | slips | texts


@st.composite
def headers(draw: st.DrawFn, valid: Mapping[str, str]) -> dict[str, str]:
    """Headers of an answer, some missing, some odd; values as a wire brings them, in Latin-1."""
    result = dict(valid)
    for name in draw(st.lists(st.sampled_from(sorted(valid)), max_size=3)):
        if draw(st.booleans()):
            result.pop(name, None)
        else:
            value = draw(texts).encode(errors="replace").decode("latin-1")
            result[name] = value.replace("\r", "").replace("\n", "").replace("\0", "")
    return result


#: A parser with what it is fed: raises what it likes, but only errors of our own.
Parse = Callable[[Any], object]
