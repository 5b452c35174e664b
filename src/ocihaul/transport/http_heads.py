"""Heads of HTTP/1.1 messages as bytes: requests as we write them, answers of the usual shape; pure.

An answer whose head is unusual in any way is none of these: h11 reads it (`reply.py`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ocihaul.transport.message import Request

# RFC 9110: a token, and what a field's value may have; bytes above 0x7f are of no known encoding.
_NAME = r"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_REQUEST = re.compile(rf"{_NAME} [!-~]+ HTTP/1\.1\r\n(?:{_NAME}: [ -~]*\r\n)+\r\n")
_STATUS = r"HTTP/1\.1 ([2-5][0-9][0-9])(?: [ -~\t]*)?\r\n"
_FIELDS = rf"((?:{_NAME}:[ -~\t\x80-\xff]*\r\n)+)\r\n"
_ANSWER = re.compile((_STATUS + _FIELDS).encode())
_LENGTH = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """Status and headers, names in lower case; of a repeated header the last.

    `length` is that of the body in bytes, None where something else than Content-Length frames it.
    `stays_open` says whether the connection may be used once more after the body.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    length: int | None
    stays_open: bool

    @classmethod
    def of(
        cls, method: str, status: int, headers: Mapping[str, str], *, version: bytes = b"1.1"
    ) -> "AnswerHead":
        """From headers that are known to be sound, in answer to a request with this method."""
        length: int | None = None
        if method == "HEAD" or status in {204, 304}:
            length = 0
        elif "transfer-encoding" not in headers and "content-length" in headers:
            length = int(headers["content-length"])
        options = {wish.strip().lower() for wish in headers.get("connection", "").split(",")}
        return cls(status, headers, length, version == b"1.1" and "close" not in options)


def request_head(request: Request) -> bytes:
    """The request without its body. Raises ValueError for what would not be one request."""
    lines = [f"{name}: {value}\r\n" for name, value in request.headers.items()]
    text = f"{request.method} {request.target} HTTP/1.1\r\n{''.join(lines)}\r\n"
    # A value with a line break in it would look like two headers: there must be no line more.
    if not _REQUEST.fullmatch(text) or text.count("\r\n") != len(lines) + 2:
        raise ValueError(f"a request whose head is not HTTP: {request.method}")
    return text.encode("ascii")


def usual_head(method: str, data: bytes) -> tuple[AnswerHead, bytes] | None:
    """The final answer that `data` begins with, and the bytes that follow its head.

    None unless it is there as a whole and as most are: HTTP/1.1, no line folded, nothing
    repeated, and a body of a known length or none.
    """
    found = _ANSWER.match(data)
    if found is None:
        return None
    headers = {}
    lines = found[2].decode("latin-1").split("\r\n")
    lines.pop()  # after the last break there is nothing
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip(" \t")
    if "transfer-encoding" in headers or len(headers) != len(lines):
        return None
    if not _LENGTH.fullmatch(headers.get("content-length", "0")):
        return None
    head = AnswerHead.of(method, int(found[1]), headers)
    return None if head.length is None else (head, data[found.end() :])
