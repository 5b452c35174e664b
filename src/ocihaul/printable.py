"""Text from outside made fit for a terminal, a log line and an environment variable; pure.

A terminal acts upon control characters (C0, DEL, C1), lines end where a line break stands, and
bidirectional controls show text in another order than it has. None of them passes: they are
written out as Python writes them (`\\x1b`, `\\u202e`), so that a reader sees what was there.
Everything else stays, in every script: the ideographic space, accents and joiners are text.
"""

import re

#: Characters of a message that are kept in memory; what follows is no help to anybody.
LONGEST_MESSAGE = 16 * 1024

#: Controls, line separators, bidirectional and invisible format characters, lone surrogates.
_UNSAFE = (
    "\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff"
    "\\ufff9-\\ufffb\\ud800-\\udfff\\U000e0000-\\U000e007f"
)
_IN_A_LINE = re.compile(f"[{_UNSAFE}]")
#: In JSON the line breaks are the layout's own: those of the values are escaped already.
_IN_JSON = re.compile(f"[{_UNSAFE}]".replace("\\x00-\\x1f", "\\x00-\\x09\\x0b-\\x1f"))


def one_line(text: str) -> str:
    """`text` with whatever would break a line, or a terminal would act upon, written out."""
    if text.isprintable():  # the common case, and quick
        return text
    return _IN_A_LINE.sub(_written_out, text)


#: Who reads stderr by program looks for the braces of an error.
_BRACES = str.maketrans({"{": "\\x7b", "}": "\\x7d"})


def without_braces(text: str) -> str:
    """`text` with its braces written out: it may stand beside JSON that is looked for by them."""
    return text.translate(_BRACES)


def cut(text: str, limit: int) -> str:
    """`text`, or its first `limit` characters with a mark that there were more."""
    return text if len(text) <= limit else f"{text[:limit]}… (cut)"


def json_text(document: str) -> str:
    """A JSON document with the unsafe characters of its strings escaped: the values stay equal."""
    return _IN_JSON.sub(_json_escape, document)


def _written_out(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
