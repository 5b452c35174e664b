"""Secrets out of text: the last filter before anything is printed or logged.

What belongs here: what a secret looks like, for those that are not registered; the registered
ones (`held_secrets`) are masked first, by value. Masking too much is a nuisance, masking too little
a leak, so every pattern takes rather more than the secret. Masking twice changes nothing.
"""

import re

from ocihaul.held_secrets import MASK, mask_held

_FIELD_NAMES = (
    r"(?:current_?token|security_?token|session_?token|auth_?token|token|pass_?phrase|password|"
    r"passwd|key_content|private_?key|client_?secret|secret|access_?uri)"
)

#: In the order in which they are applied: whole lines and blocks first, then what stands in them.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A private key, also one that is cut off or written with \n in JSON.
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        MASK,
    ),
    # Authorization: everything up to the end of the line.
    (re.compile(r"(authorization[\"']?\s*[:=][ \t]*)[^\r\n]+", re.IGNORECASE), rf"\1{MASK}"),
    # Session tokens as key ids, and any JWT.
    (re.compile(r"ST(?:\$|%24)[^\s\"',;\\&]+"), MASK),
    (re.compile(r"eyJ[A-Za-z0-9_=-]{8,}(?:\.[A-Za-z0-9_=-]*)*"), MASK),
    (re.compile(r"(keyid|signature)(\s*=\s*\\*[\"'])[^\"'\\\r\n]*", re.IGNORECASE), rf"\1\2{MASK}"),
    # SSE-C: the key, not its digest.
    (
        re.compile(
            r"(opc-(?:source-)?sse-customer-key(?!-)\\*[\"']?\s*[:=,]\s*b?\\*[\"']?)[^\s\"'\\,;}]+",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    # Fields of JSON, of Python values and of INI files, also cut off in the middle.
    (
        re.compile(rf"({_FIELD_NAMES}\\*\"\s*:\s*\\*\")(?:[^\"\\]|\\.)*", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (re.compile(rf"({_FIELD_NAMES}'\s*:\s*')(?:[^'\\]|\\.)*", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(rf"({_FIELD_NAMES}\s*=\s*)[^\s&\"']+", re.IGNORECASE), rf"\1{MASK}"),
    # A pre-authenticated request is its URL.
    (re.compile(r"(/p/)[^/\s\"']+(?=/n/)"), rf"\1{MASK}"),
    (re.compile(r"(/p/)[A-Za-z0-9_+=%-]{16,}"), rf"\1{MASK}"),
    # user:password@ in a URL, but for the example of our own hints.
    (re.compile(r"(://)(?!USER:PASSWORD@)[^\s/\"'<>]+@"), rf"\1{MASK}@"),
    # The same with the host forgotten: what is no port is taken for a password.
    (
        re.compile(
            r"(://[^\s/\"'<>:@\[\]]+:)(?![0-9]{1,5}(?![\w%!$&*+=~-]))(?!(?:PORT|port)\b|PASSWORD@|\[redacted\])"
            r"[^\s/\"'<>]+"
        ),
        rf"\1{MASK}",
    ),
)


def redact(text: str) -> str:
    """`text` with every secret in it replaced by `[redacted]`."""
    text = mask_held(text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
