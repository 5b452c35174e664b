"""A signed JWT taken apart; pure.

What belongs here: the compact form of RFC 7515, three base64url texts joined by dots. Nothing is
verified: that is the service's job. (A library for it takes as long to import as all the rest of
`session status`, and decodes more leniently than a token that goes into a header may be.)
"""

import base64
import re
from dataclasses import dataclass, field
from typing import Any

from ocihaul.documents import read_object

#: Base64url and dots. Decoders may skip what is not; a header that quotes the token does not.
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)={0,2}\.([A-Za-z0-9_-]+)={0,2}\.([A-Za-z0-9_-]*)={0,2}")


@dataclass(frozen=True, slots=True)
class JwtParts:
    """What a JWT says: its header, its claims, and the bytes of its signature."""

    header: dict[str, Any] = field(repr=False)
    claims: dict[str, Any] = field(repr=False)
    signature: bytes = field(repr=False)


def take_apart(text: str) -> JwtParts:
    """The parts of a JWT. Raises ValueError, without a word of `text`, when it is none."""
    match = _COMPACT.fullmatch(text)
    if match is None:
        raise ValueError("these are not three base64url texts joined by dots")
    try:
        header, claims = (read_object(_decoded(part)) for part in match.groups()[:2])
        return JwtParts(header, claims, _decoded(match[3]))
    except ValueError:
        raise ValueError("one of the three parts is cut, or not what it has to be") from None


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
