"""What a service answered to `tools.live_probe`, as settings: `ocihaul emulator --like FILE`.

The file is JSON: `{"format": 1, "answers": {NAME: ANSWER, …}}`. An answer of null was not found
out, and leaves the setting as it is.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ocihaul.emulator.settings import MIB

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
