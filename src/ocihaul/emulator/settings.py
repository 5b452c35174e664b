"""How the emulated service behaves, as one immutable value; `Emulator.configure` replaces it.

What a service answered to `tools.live_probe` can be read as settings (`ocihaul emulator --like
FILE`). The file is JSON: `{"format": 1, "answers": {NAME: ANSWER, …}}`. An answer of null was not
found out, and leaves the setting as it is.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

MIB = 2**20
GIB = 2**30

#: Which checksums its answers have.
Checksums = Literal["declared", "always", "never"]
#: What a pre-authenticated request is refused with.
ParRefusal = Literal[401, 403, 404]
RefreshOutage = Literal["500", "429", "hang", "html", "cut"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times are in seconds, sizes in bytes. Defaults follow the real service where it is known."""

    # --- listening
    host: str = "127.0.0.1"
    port: int = 0
    tls: bool = False
    #: An idle keep-alive connection is closed after this long.
    idle_timeout: float = 60.0
    #: A request body that makes no progress for this long is given up.
    body_timeout: float = 60.0

    # --- sessions and tokens
    token_ttl: float = 3600.0
    session_ttl: float = 86400.0
    #: iat and exp are whole seconds, as the real service issues them: a token of N seconds then
    #: lives between N-1 and N seconds. False keeps fractions.
    integer_claims: bool = True
    #: False: refresh answers 200 with a token whose exp has not moved (no-browser sessions).
    refresh_extends: bool = True
    #: After a refresh the older tokens of the session die this much later; None: at their exp.
    refresh_kills_old_after: float | None = None
    #: Which tokens tell when their session ends (claim sess_exp): those of a login, of a refresh,
    #: of GenerateUpst.
    sess_exp_in: frozenset[str] = frozenset({"login", "refresh", "upst"})
    refresh_outage: RefreshOutage | None = None
    refresh_hang_seconds: float = 30.0
    refresh_refuses: bool = False
    #: Whether the login page's "no" names the nonce that it was asked with: not documented.
    login_error_has_nonce: bool = True
    #: The whole life of a session that GenerateUpst opens; None: what the caller asks for.
    upst_ttl: float | None = None
    #: "end" looks at the token again once the body is there (a token may die under way).
    check_token_at: Literal["headers", "end"] = "headers"  # noqa: S105 - not a password
    #: Added to the service's clock: Date headers, iat and exp, the skew check.
    clock_offset: float = 0.0
    max_skew: float = 300.0

    # --- bodies
    #: Bytes a second over all request bodies together; None: as fast as they come.
    bandwidth: float | None = None
    #: The same for the bodies of each connection by itself.
    connection_bandwidth: float | None = None
    #: The same for the bytes of objects in answers.
    answer_bandwidth: float | None = None
    #: 100 Continue is sent this late; None: at once.
    continue_delay: float | None = None
    #: Never send 100 Continue; read the body straight away.
    ignore_expect: bool = False
    #: False: an error that is known from the headers is told when the body is there.
    answers_early: bool = True
    #: An error that is known from the headers is answered, and the connection closed with the
    #: body unread. False: the body is read and thrown away first (up to `drain_limit`), or the
    #: close lingers where it is not known whether the client will send it.
    early_close: bool = True
    #: Say "connection: close" in an answer that is followed by a close.
    announce_close: bool = True
    drain_limit: int = 256 * MIB
    linger_seconds: float = 2.0

    # --- objects
    namespace: str = "ns1"
    bucket: str = "backups"
    #: Which opc-content-* values come back: for a declared algorithm, CRC32C always, or none.
    checksums: Checksums = "declared"
    #: Where the CRC32C of an upload that declared none is told: part, commit, head.
    undeclared_crc32c: frozenset[str] = frozenset()
    #: False: a body that differs from the checksum in its request is stored all the same. The
    #: documented service refuses it (400); what rewrites bodies on the way may not.
    checks_bodies: bool = True
    #: Bodies are hashed and forgotten: uploads of any size with no disk.
    discard: bool = False
    #: No MD5 (it costs more than all the rest together): no opc-content-md5 in answers.
    fast: bool = False
    #: Where bodies are kept; None: a temporary directory that goes away on close.
    data_dir: Path | None = None
    max_object_put: int = 50 * GIB
    max_part_size: int = 50 * GIB
    max_parts: int = 10_000
    min_part_size: int = 10 * MIB
    enforce_min_part_size: bool = False
    #: False: a commit wants parts of one size, but for the last.
    unequal_parts: bool = True
    #: Preconditions that a commit does not look at: if-match, if-none-match.
    commit_ignores: frozenset[str] = frozenset()
    #: The codes of the 404 for an upload that is unknown, at UploadPart and at the commit.
    unknown_upload_at_part: str = "UploadNotFound"
    unknown_upload_at_commit: str = "UploadNotFound"
    #: A customer's key in a request for an object that was written without one.
    unneeded_customer_key: Literal["refused", "ignored"] = "refused"
    #: Largest page of any list; None: 1000.
    page_limit: int | None = None
    #: How long it takes until a restored Archive object can be read; the service takes an hour.
    restore_seconds: float = 3600.0
    #: False: parts in neither list of a commit are dropped in silence.
    commit_needs_every_part: bool = True
    #: While versioning is suspended, a new object replaces the latest one in any case; False: only
    #: one that was written without versions, as others do it. Not documented in detail.
    suspended_replaces_latest: bool = False
    #: How long a copy takes.
    copy_seconds: float = 0.2
    #: How long a change takes to a replication's destination; the service needs minutes.
    replication_seconds: float = 1.0

    # --- answers
    #: Answers that have no opc-request-id: head (to any HEAD), 206.
    no_request_id: frozenset[str] = frozenset()
    #: Requests in a second, all together; what is more is answered 429. None: no limit.
    rate_limit: float | None = None

    # --- pre-authenticated requests (PARs): what is not documented can be either
    #: False: the owner of the PARs has lost the right to the objects.
    par_rights: bool = True
    #: What a PAR that is unknown, expired or without the right is answered with.
    par_refusal: ParRefusal = 404
    #: What one that does not allow the operation is answered with; None: the same.
    par_misuse_refusal: ParRefusal | None = None
    #: Whether a PAR that may list objects does.
    par_lists_objects: bool = True
    #: Whether GET on the URL of a multipart upload lists its parts.
    par_lists_parts: bool = True
    #: Request headers, in lower case, that are ignored on a PAR, such as if-none-match,
    #: storage-tier, content-md5, opc-checksum-algorithm.
    par_ignores: frozenset[str] = frozenset()


class SettingsChange(TypedDict, total=False):
    """What `Emulator.configure` takes: the fields of `Settings`, but for those that are fixed."""

    idle_timeout: float
    body_timeout: float
    token_ttl: float
    session_ttl: float
    integer_claims: bool
    refresh_extends: bool
    refresh_kills_old_after: float | None
    refresh_outage: RefreshOutage | None
    refresh_hang_seconds: float
    refresh_refuses: bool
    login_error_has_nonce: bool
    upst_ttl: float | None
    check_token_at: Literal["headers", "end"]
    clock_offset: float
    max_skew: float
    bandwidth: float | None
    connection_bandwidth: float | None
    answer_bandwidth: float | None
    continue_delay: float | None
    ignore_expect: bool
    early_close: bool
    announce_close: bool
    drain_limit: int
    linger_seconds: float
    namespace: str
    bucket: str
    checksums: Checksums
    checks_bodies: bool
    discard: bool
    fast: bool
    max_object_put: int
    max_part_size: int
    max_parts: int
    min_part_size: int
    enforce_min_part_size: bool
    page_limit: int | None
    restore_seconds: float
    commit_needs_every_part: bool
    suspended_replaces_latest: bool
    copy_seconds: float
    replication_seconds: float
    par_rights: bool
    par_refusal: ParRefusal
    par_lists_parts: bool
    par_ignores: frozenset[str]
    par_misuse_refusal: ParRefusal | None
    par_lists_objects: bool
    sess_exp_in: frozenset[str]
    answers_early: bool
    undeclared_crc32c: frozenset[str]
    unequal_parts: bool
    commit_ignores: frozenset[str]
    unknown_upload_at_part: str
    unknown_upload_at_commit: str
    unneeded_customer_key: Literal["refused", "ignored"]
    no_request_id: frozenset[str]
    rate_limit: float | None


FORMAT = 1
_CODE = re.compile(r"[A-Za-z0-9]{1,64}")
#: The headers of which the probe asks whether a PAR ignores them.
PAR_HEADERS = ("if-match", "if-none-match", "content-md5", "storage-tier", "opc-checksum-algorithm")
COMMIT_HEADERS = ("if-match", "if-none-match")
CRC32C_PLACES = ("part", "commit", "head")

Changes = dict[str, Any]


class AnswersError(Exception):
    """The file cannot be read, or says something that no service can."""


def _truth(answer: Any) -> bool:
    if not isinstance(answer, bool):
        raise AnswersError(f"{answer!r} (true or false)")
    return answer


def _flag(setting: str, *, negated: bool = False) -> Callable[[Any], Changes]:
    return lambda answer: {setting: _truth(answer) is not negated}


def _one_of(setting: str, choices: Mapping[Any, Any]) -> Callable[[Any], Changes]:
    def changes(answer: Any) -> Changes:
        if isinstance(answer, bool) or answer not in choices:
            raise AnswersError(f"{answer!r} ({', '.join(map(str, choices))})")
        return {setting: choices[answer]}

    return changes


def _some_of(setting: str, choices: tuple[str, ...], *, rest: bool = False) -> Any:
    """A list of some of `choices`; the setting gets them, or the others."""

    def changes(answer: Any) -> Changes:
        if not isinstance(answer, list) or not all(each in choices for each in answer):
            raise AnswersError(f"{answer!r} (a list of {', '.join(choices)})")
        chosen = set(choices) - set(answer) if rest else set(answer)
        return {setting: frozenset(chosen)}

    return changes


def _code(setting: str) -> Callable[[Any], Changes]:
    def changes(answer: Any) -> Changes:
        if not isinstance(answer, str) or not _CODE.fullmatch(answer):
            raise AnswersError(f"{answer!r} (the code of an error)")
        return {setting: answer}

    return changes


def _number_or(setting: str, word: str) -> Callable[[Any], Changes]:
    def changes(answer: Any) -> Changes:
        if answer == word:
            return {setting: None}
        if isinstance(answer, bool) or not isinstance(answer, int | float) or not answer >= 0:
            raise AnswersError(f"{answer!r} (a number, or {word!r})")
        return {setting: float(answer)}

    return changes


def _smallest_part(answer: Any) -> Changes:
    if isinstance(answer, bool) or not isinstance(answer, int) or not 0 < answer <= 100 * MIB:
        raise AnswersError(f"{answer!r} (bytes)")
    return {"min_part_size": answer, "enforce_min_part_size": True}


def _session_end(answer: Any) -> Changes:
    # The probe has no token of GenerateUpst: those stay as they are.
    changes: Changes = _some_of("sess_exp_in", ("login", "refresh"))(answer)
    return {"sess_exp_in": changes["sess_exp_in"] | {"upst"}}


def _declared(answer: Any) -> Changes:
    return {"checksums": "declared" if _truth(answer) else "never"}


_REFUSALS = {401: 401, 403: 403, 404: 404}

#: Name of an answer → the settings that follow from it.
ANSWERS: Mapping[str, Callable[[Any], Changes]] = {
    "refresh_moves_the_end": _flag("refresh_extends"),
    "old_token_refused_after": _number_or("refresh_kills_old_after", "not seen"),
    "sess_exp_in": _session_end,
    "sends_100_continue": _flag("ignore_expect", negated=True),
    "refusal_comes": _one_of("answers_early", {"early": True, "after the body": False}),
    "refused_body": _one_of("early_close", {"closed": True, "drained": False}),
    "close_announced": _flag("announce_close"),
    "smallest_part": _smallest_part,
    "unequal_parts": _flag("unequal_parts"),
    "unlisted_parts_refused": _flag("commit_needs_every_part"),
    "declared_crc32c_told": _declared,
    "undeclared_crc32c": _some_of("undeclared_crc32c", CRC32C_PLACES),
    "wrong_checksum_refused": _flag("checks_bodies"),
    "commit_heeds": _some_of("commit_ignores", COMMIT_HEADERS, rest=True),
    "par_lists_objects": _flag("par_lists_objects"),
    "par_lists_parts": _flag("par_lists_parts"),
    "par_ignores": _some_of("par_ignores", PAR_HEADERS),
    "par_refusal": _one_of("par_refusal", _REFUSALS),
    "par_misuse_refusal": _one_of("par_misuse_refusal", _REFUSALS),
    "no_request_id": _some_of("no_request_id", ("head", "206")),
    "unknown_upload_at_part": _code("unknown_upload_at_part"),
    "unknown_upload_at_commit": _code("unknown_upload_at_commit"),
    "unneeded_customer_key": _one_of(
        "unneeded_customer_key", {"refused": "refused", "ignored": "ignored"}
    ),
    "rate_limit": _number_or("rate_limit", "not reached"),
}


def read_answers(path: Path) -> Changes:
    """The settings that a file of answers asks for. Raises AnswersError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AnswersError(error.strerror or "it cannot be read") from None
    except ValueError:
        raise AnswersError("it is not JSON") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise AnswersError(f"it has no format {FORMAT}")
    answers = document.get("answers")
    if not isinstance(answers, dict):
        raise AnswersError("it has no answers")
    return settings_like(answers)


def settings_like(answers: Mapping[str, Any]) -> Changes:
    """The settings that behave as answered; null changes nothing. Raises AnswersError."""
    changes: Changes = {}
    for name, answer in answers.items():
        if name not in ANSWERS:
            raise AnswersError(f"{name} is not an answer that is known")
        if answer is None:
            continue
        try:
            changes |= ANSWERS[name](answer)
        except (AnswersError, TypeError) as error:
            raise AnswersError(f"{name}: {error}") from None
    return changes
