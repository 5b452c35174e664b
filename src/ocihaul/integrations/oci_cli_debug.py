"""No token in the official CLI's `--debug` output.

It switches on the debug lines of `http.client`, which prints whole requests, `authorization`
included, on stdout; and it logs. Both are cleaned here. What a command prints as its answer is
not touched: a pre-authenticated URL or a cluster token is what its caller has asked for.
"""

import builtins
import http.client
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ocihaul.redaction import mask_held, redact

#: Redaction is slow beside a print of 16 KiB of object bytes, so only text that has one of these
#: goes through it: every kind of secret does.
_SIGNS = (
    "st$",
    "st%24",
    "eyj",
    "authorization",
    "signature",
    "key",
    "token",
    "secret",
    "pass",
    "/p/",
    "://",
    "access",
)


@contextmanager
def redacted_debug() -> Iterator[None]:
    """While it lasts, HTTP debug lines and log records of this process carry no secret."""
    module: Any = http.client
    factory = logging.getLogRecordFactory()

    def printing(*values: object, sep: str | None = " ", end: str | None = "\n") -> None:
        # It is what http.client would have done.
        builtins.print(*(clean(str(value)) for value in values), sep=sep, end=end)  # noqa: T201

    def record(*args: object, **settings: object) -> logging.LogRecord:
        made = factory(*args, **settings)
        try:
            text = made.getMessage()
        except (TypeError, ValueError):
            return made  # a wrong format string: logging itself will complain
        cleaned = clean(text)
        if cleaned != text:
            made.msg, made.args = cleaned, ()
        return made

    # http.client calls print as a builtin; a name of its own comes first.
    module.print = printing
    logging.setLogRecordFactory(record)
    try:
        yield
    finally:
        del module.print
        logging.setLogRecordFactory(factory)


def clean(text: str) -> str:
    """`text` without secrets; quick where there is none."""
    lower = text.lower()
    return redact(text) if any(sign in lower for sign in _SIGNS) else mask_held(text)
