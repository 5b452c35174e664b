"""The one place where text is written to the standard streams.

Callers hand over lines, and each becomes exactly one line: without secrets
(`redaction`), without control characters or line breaks (`printable`), cut where it has no end.
So no text of a service, a proxy, a file or an object's name can forge a line or drive a terminal,
and no caller has to remember it. Answers on stdout are for programs: they are neither cut nor
masked by pattern, but no terminal acts upon them and no secret that we hold is in them.
"""

from collections.abc import Iterable, Iterator
from typing import TextIO

from ocihaul.printable import cut, json_text, one_line
from ocihaul.redaction import mask_held, redact

#: Characters of a line at most.
LONGEST_LINE = 4096
#: Characters of a text that are looked at for it.
_CONSIDERED = 4 * LONGEST_LINE
#: Characters of an answer that are looked at together.
_BATCH = 64 * 1024


def shown(text: str, *, public: bool = False) -> str:
    """`text` as a line may have it; what is `public` only looks like a secret."""
    # What is behind that is not shown, however much of the rest is a secret that shrinks.
    text = text[:_CONSIDERED]
    return cut(one_line(mask_held(text) if public else redact(text)), LONGEST_LINE)


def say(stream: TextIO, *lines: str, public: bool = False, end: str = "\n") -> None:
    """Write each of `lines` as one line; `end` follows the last one."""
    _put(stream, "\n".join(shown(line, public=public) for line in lines) + end)


def say_text(stream: TextIO, text: str) -> None:
    """Write text whose line breaks are our own, such as an error's; it was cut as it was made."""
    _put(stream, "\n".join(one_line(line) for line in redact(text).split("\n")) + "\n")


def write_answer(stream: TextIO, pieces: Iterable[str]) -> None:
    """Write an answer that is JSON, or laid out in lines by our own code, piece by piece.

    What it has of unsafe characters but for line breaks is escaped as JSON does it.
    """
    stream.writelines(json_text(mask_held(text, answer=True)) for text in _batches(pieces))
    stream.flush()


def write_lines(stream: TextIO, lines: Iterable[str]) -> None:
    """Write an answer that is a list: each text becomes one line, of any length."""
    texts = _batches(f"{one_line(line)}\n" for line in lines)
    stream.writelines(mask_held(text, answer=True) for text in texts)
    stream.flush()


def write_raw(stream: TextIO, text: str) -> None:
    """Write an answer as it is, for a program; at a terminal its lines are made safe."""
    if stream.isatty():
        write_lines(stream, text.split("\n"))
    else:
        stream.write(mask_held(text, answer=True) + "\n")
        stream.flush()


def _put(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()


def _batches(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces in larger ones: to look for secrets costs more by the piece than by the byte."""
    batch: list[str] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece)
        if size >= _BATCH:
            yield "".join(batch)
            batch, size = [], 0
    yield "".join(batch)


#: The colours of a status line, as a terminal takes them.
_COLOURS = {"bar": "36", "failed": "31"}
#: To the line's beginning, and clear everything from there on.
_CLEAR = "\r\x1b[J"


def draw_status(stream: TextIO, pieces: Iterable[tuple[str, str]], *, colours: bool) -> None:
    """Draw a status line over the last one; each piece has a text and a kind (see _COLOURS)."""
    texts = []
    for text, kind in pieces:
        code = _COLOURS.get(kind) if colours else None
        texts.append(shown(text) if code is None else f"\x1b[{code}m{shown(text)}\x1b[0m")
    _put(stream, f"{_CLEAR}{''.join(texts)}\r")


def clear_status(stream: TextIO) -> None:
    """Clear the status line at the cursor."""
    _put(stream, _CLEAR)
