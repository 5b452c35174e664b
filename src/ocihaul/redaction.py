"""Secrets out of text: the last filter before anything is printed or logged.

By value first. The code that reads or makes a secret registers it with `hold`, and it is found
wherever it stands: as it is, escaped as in JSON (`\\/`, `\\"`, `\\u002b`, also several times),
percent-encoded, as HTML entities, and in base64 of anything around it. To register costs a
dictionary entry; the work is done when text is printed. Thread-safe.

Then by looks, for those that are not registered. Masking too much is a nuisance, masking too little
a leak, so every pattern takes rather more than the secret. Masking twice changes nothing.
"""

import base64
import hashlib
import re
import threading
from functools import lru_cache
from typing import Literal

MASK = "[redacted]"

#: What is shorter is not looked for: logs would become confetti, and a pattern still masks it in
#: a URL or after its name.
SHORTEST = 6
#: What is shorter than this is masked where it stands as a word of its own, only: a passphrase
#: may be a word of the language.
_WORD = 16

Kind = Literal["token", "signature", "key", "password", "access", "digest"]

#: How many of each kind are kept: the newest. Renewed tokens and old signatures age out.
_MOST: dict[Kind, int] = {
    "token": 16,
    "signature": 64,
    "key": 512,
    "password": 16,
    "access": 16,
    "digest": 16,
}
#: What an answer may have: the URL that was asked for, the SHA-256 that tells keys apart.
_IN_ANSWERS = frozenset[Kind]({"access", "digest"})

_lock = threading.Lock()  # guards the table
_held: dict[Kind, dict[str, None]] = {kind: {} for kind in _MOST}

#: Backslashes, however they are written themselves and however often they were doubled.
_SLASHES = r"(?:\\(?:u005[cC]|x5[cC])?|%(?:25)*5[cC])+"
_ESCAPE = re.compile(
    rf"{_SLASHES}(?:u00(?P<unicode>[0-9a-fA-F]{{2}})|x(?P<hex>[0-9a-fA-F]{{2}})|(?P<letter>[nrt]))"
    rf"|(?P<nothing>{_SLASHES})|%(?:25)*(?P<percent>[0-9a-fA-F]{{2}})"
    r"|&#x0*(?P<entity>[0-9a-fA-F]{2});|&#0*(?P<decimal>[0-9]{2,3});"
    r"|&(?P<name>amp|lt|gt|quot|apos);"
)
_ACCESS = re.compile(r"/p/([^/\s]+)")
_PEM = "PRIVATE KEY-----"
_TOKEN = re.compile(r"(?:ST\$)?eyJ[A-Za-z0-9_=-]{8,}(?:\.[A-Za-z0-9_=-]*)+")
_KEY = re.compile(r"[A-Za-z0-9+/_-]{43}=")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-")


def hold(secret: str, kind: Kind) -> None:
    """Register a secret; one that is shorter than six characters is not looked for."""
    if len(secret) < SHORTEST:
        return
    with _lock:
        table = _held[kind]
        table.pop(secret, None)  # the newest last
        table[secret] = None
        if len(table) > _MOST[kind]:
            del table[next(iter(table))]


def hold_key(pem: bytes | str) -> None:
    """Register the lines of a private key in PEM."""
    text = pem.decode("ascii", "replace") if isinstance(pem, bytes) else pem
    for line in text.splitlines():
        if len(line) >= _WORD and ":" not in line and not line.startswith("-"):
            hold(line.strip(), "key")


def hold_key_bytes(raw: bytes) -> None:
    """Register a symmetric key: in base64 and hexadecimal, as it is, and by its SHA-256."""
    digest = hashlib.sha256(raw).digest()
    hold(base64.b64encode(digest).decode(), "digest")
    hold(digest.hex(), "digest")
    urlsafe = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    forms = (base64.b64encode(raw).decode().rstrip("="), urlsafe, raw.hex(), raw.hex().upper())
    for form in (*forms, raw.decode("latin-1"), raw.decode("utf-8", "replace")):
        hold(form, "key")


def hold_access_uri(uri: str) -> None:
    """Register the secret in the URI of a pre-authenticated request: /p/SECRET/n/..."""
    if found := _ACCESS.search(uri):
        hold(found[1], "access")


def hold_misplaced(value: str) -> bool:
    """Whether `value`, given where a path or a name belongs, is itself a secret: then hold it.

    A session token, a private key in PEM, or the base64 text of 32 bytes.
    """
    text = value.strip()
    if _PEM in text:
        hold_key(text)
        return True
    if _TOKEN.fullmatch(text) or _KEY.fullmatch(text):
        hold(text, "key")
        return True
    return False


def mask_held(text: str, *, answer: bool = False) -> str:
    """`text` with the secrets that are held masked.

    In an `answer`, which programs read, only long ones are looked for: a passphrase may be a name.
    """
    if len(text) < SHORTEST:
        return text
    with _lock:
        secrets = [
            secret
            for kind, table in _held.items()
            if not (answer and kind in _IN_ANSWERS)
            for secret in table
            if not (answer and len(secret) < _WORD)
        ]
    if not secrets:
        return text
    plain, starts = _decoded(text)
    # Both: in a plain text, what looks like an escape may be the secret itself.
    found = _found(secrets, plain, starts)
    if starts is not None:
        found += _found(secrets, text, None)
    return _masked(text, found) if found else text


def _found(secrets: list[str], text: str, starts: list[int] | None) -> list[tuple[int, int]]:
    """Where secrets stand, as ranges of the text before it was decoded."""
    ranges = []
    for secret in secrets:
        needles, shortest = _needles(secret)
        if shortest > len(text):
            continue
        for needle, in_base64 in needles:
            at = text.find(needle)
            while at >= 0:
                begin, end = at, at + len(needle)
                if in_base64:
                    begin, end = _run(text, begin, end)
                if in_base64 or len(secret) >= _WORD or _is_word(text, begin, end):
                    ranges.append((begin, end) if starts is None else (starts[begin], starts[end]))
                at = text.find(needle, end)
    return ranges


@lru_cache(maxsize=1024)
def _needles(secret: str) -> tuple[tuple[tuple[str, bool], ...], int]:
    """The secret, and what of its base64 does not depend on what stands before and after it.

    With the length of the shortest of them, as most texts are shorter than a signature.

    A secret may look as if it were escaped: decoded as the text is, it is found there, too.
    """
    data = secret.encode("utf-8", "surrogatepass")
    needles = [(secret, False)]
    others = {_decoded(secret)[0], secret.replace("\\", "")} - {secret}
    needles += [(each, False) for each in others if len(each) >= SHORTEST]
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + data).decode().rstrip("=")
        first, last = -(-shift * 8 // 6), (shift + len(data)) * 8 // 6
        inner = whole[first:last]
        if len(inner) >= 2 * SHORTEST:  # a shorter piece may be part of any base64
            needles.append((inner, True))
            if "+" in inner or "/" in inner:
                needles.append((inner.translate(str.maketrans("+/", "-_")), True))
    return tuple(needles), min(len(needle) for needle, _ in needles)


def _decoded(text: str) -> tuple[str, list[int] | None]:
    """The text without escapes, and where each of its characters began (one more for the end).

    None in place of the list where nothing was escaped.
    """
    if not ("\\" in text or "%" in text or "&" in text):
        return text, None
    pieces: list[str] = []
    starts: list[int] = []
    at = 0
    for match in _ESCAPE.finditer(text):
        pieces.append(text[at : match.start()])
        character = _character(match)
        starts.extend(range(at, match.start() + len(character)))
        pieces.append(character)
        at = match.end()
    if not pieces:
        return text, None
    pieces.append(text[at:])
    starts.extend(range(at, len(text) + 1))
    return "".join(pieces), starts


def _character(match: re.Match[str]) -> str:
    kind, text = match.lastgroup, match[match.lastgroup or 0]
    if kind == "nothing":  # backslashes are dropped, however often they were doubled
        return ""
    if kind == "letter":
        return _LETTERS[text]
    if kind == "name":
        return _ENTITIES[text]
    if kind == "decimal":
        return chr(int(text))
    return chr(int(text, 16))


def _run(text: str, begin: int, end: int) -> tuple[int, int]:
    """The base64 text around a piece of it: the secret's ends are in there, too."""
    while begin > 0 and text[begin - 1] in _BASE64:
        begin -= 1
    while end < len(text) and text[end] in _BASE64:
        end += 1
    return begin, end


def _is_word(text: str, begin: int, end: int) -> bool:
    before, after = text[begin - 1 : begin], text[end : end + 1]
    return not (before.isalnum() or after.isalnum())


def _masked(text: str, ranges: list[tuple[int, int]]) -> str:
    pieces, at = [], 0
    for begin, end in sorted(ranges):
        if begin >= at:
            pieces += [text[at:begin], MASK]
        at = max(at, end)
    return "".join([*pieces, text[at:]])


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
    # user:password@ in a URL, but for the example of our own hints, and for oci://bucket@namespace.
    (re.compile(r"(?<!\boci)(://)(?!USER:PASSWORD@)[^\s/\"'<>]+@"), rf"\1{MASK}@"),
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
