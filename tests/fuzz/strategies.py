"""Inputs that are nearly right: documents and texts with a few places changed.

Random text hardly ever gets past the first check of a parser. A valid input with one odd value in
it does.
"""

import copy
import json
from collections.abc import Mapping, Sequence
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


def _nested(levels: int) -> str:
    return "[" * levels + '{"a": "core"}' + "]" * levels


#: Made anew each time: what follows may change them.
_trees = st.sampled_from(
    ("[]", "{}", "[[]]", '{"a": {}}', '["a"]', '{"name": "x"}', *map(_nested, (60, 70)))
).map(json.loads)

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


#: To replace finds most; the rest is for what must be there, or only once.
_CHANGES = ("replace", "replace", "replace", "drop", "wrap", "repeat", "rename")
#: How many places are changed.
_FEW = st.sampled_from((1, 1, 1, 2, 3))


@st.composite
def spoilt(draw: st.DrawFn, document: Any) -> Any:
    """A valid document with up to three places dropped, replaced, nested, repeated or renamed."""
    result = copy.deepcopy(document)
    for _ in range(draw(_FEW)):
        places = _places(result)
        # One draw for both: drawing is what takes the time.
        which, how = divmod(draw(st.integers(0, len(places) * len(_CHANGES) - 1)), len(_CHANGES))
        change = _CHANGES[how]
        value = draw(values) if change == "replace" else None
        result = _changed(result, places[which], change, value)
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


_DAMAGES = ("insert", "insert", "cut", "flip", "flip", "repeat", "truncate")
_pieces = st.sampled_from(_PIECES)
_lengths = st.integers(1, 8)


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """Bytes with a few places cut, flipped, repeated, or with something odd put in."""
    data = bytearray(valid)
    for _ in range(draw(_FEW)):
        at, how = divmod(draw(st.integers(0, (len(data) + 1) * len(_DAMAGES) - 1)), len(_DAMAGES))
        damage = _DAMAGES[how]
        if damage == "insert":
            data[at:at] = draw(_pieces)
        elif damage == "truncate":
            del data[at:]
        elif damage == "cut":
            del data[at : at + draw(_lengths)]
        elif damage == "repeat":
            data[at:at] = data[at : at + draw(_lengths)] * 3
        elif at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
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


def headers(valid: Mapping[str, str]) -> st.SearchStrategy[dict[str, str]]:
    """Headers of an answer, some missing, some odd; values as a wire brings them, in Latin-1."""
    names = st.sampled_from(sorted(valid))
    odd = st.dictionaries(names, st.none() | texts.map(_as_header), max_size=2)

    def changed(changes: Mapping[str, str | None]) -> dict[str, str]:
        every = {**valid, **changes}
        return {name: value for name, value in every.items() if value is not None}

    return st.just(dict(valid)) | odd.map(changed)


def _as_header(text: str) -> str:
    value = text.encode(errors="replace").decode("latin-1")
    return value.translate({ord(each): None for each in "\r\n\0"})
