"""A run: all groups of questions in their order, and what could not be found out."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from ocihaul.config import Settings
from ocihaul.emulator.settings import ANSWERS, FORMAT
from ocihaul.errors import OcihaulError, ServiceError
from ocihaul.session.session import dialer_for
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import WireError
from tools.live_probe import storage_questions as storage
from tools.live_probe.session_questions import OldToken, refresh
from tools.live_probe.wire import UnclearError

SESSION = "session"


@dataclass(frozen=True, slots=True)
class Group:
    """Questions that are asked together; `text` says what is done for them."""

    name: str
    text: str
    keys: tuple[str, ...]
    ask: Callable[[storage.Bucket], Mapping[str, object]] | None = None


GROUPS = (
    Group(
        SESSION,
        "refresh the session on disk once, and watch how long the token before it is taken",
        ("refresh_moves_the_end", "sess_exp_in", "old_token_refused_after"),
    ),
    Group(
        "expect",
        "send 64 KiB with Expect: 100-continue",
        ("sends_100_continue",),
        storage.ask_expect,
    ),
    Group(
        "refusal",
        "send 2 MiB that are refused by a precondition",
        ("refusal_comes", "refused_body", "close_announced"),
        storage.ask_refusal,
    ),
    Group(
        "parts",
        "upload parts of 2, 5 and 10 MiB until they are taken, and unequal ones",
        ("smallest_part", "unequal_parts"),
        storage.ask_parts,
    ),
    Group(
        "checksums",
        "look where CRC32C comes back, and send a wrong MD5",
        ("declared_crc32c_told", "undeclared_crc32c", "wrong_checksum_refused"),
        storage.ask_checksums,
    ),
    Group(
        "commit",
        "commit with preconditions that do not hold, and with a part left out",
        ("commit_heeds", "unlisted_parts_refused"),
        storage.ask_commit,
    ),
    Group(
        "unknown upload",
        "send a part to an upload that is aborted, and commit it",
        ("unknown_upload_at_part", "unknown_upload_at_commit"),
        storage.ask_unknown_upload,
    ),
    Group(
        "answers",
        "read 4 bytes, and HEAD with a customer key that is not needed",
        ("no_request_id", "unneeded_customer_key"),
        storage.ask_answers,
    ),
    Group(
        "PAR lists",
        "list objects and parts through a pre-authenticated request (PAR) that ends in an hour",
        ("par_lists_objects", "par_lists_parts"),
        storage.ask_par_lists,
    ),
    Group(
        "PAR ignores",
        "put a few bytes through a PAR with conditions, a wrong MD5, a tier",
        ("par_ignores",),
        storage.ask_par_ignores,
    ),
    Group(
        "PAR refusals",
        "use a PAR for what it does not allow, and after it was deleted",
        ("par_refusal", "par_misuse_refusal"),
        storage.ask_par_refusals,
    ),
    Group(
        "rate",
        "send at most 100 GetNamespace in two seconds, and stop at the first 429",
        ("rate_limit",),
        storage.ask_rate,
    ),
)


@dataclass(slots=True)
class Findings:
    """What was answered, and why the rest was not."""

    answers: dict[str, object] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """As JSON: every answer has its place, null where it was not found out."""
        answers = {name: self.answers.get(name) for name in ANSWERS}
        return {"format": FORMAT, "answers": answers, "unanswered": self.unanswered}


def run(
    settings: Settings,
    bucket: storage.Bucket,
    *,
    watch: float,
    groups: Collection[str] | None = None,
    tell: Callable[[str], None],
    dialer: Dialer | None = None,
) -> Findings:
    """Ask the groups (all without `groups`). `watch`: seconds that the old token is watched."""
    findings = Findings()
    old: OldToken | None = None
    for group in GROUPS:
        if groups is not None and group.name not in groups:
            continue
        tell(f"{group.name}: {group.text}")
        try:
            if group.ask is None:
                dialer = dialer or dialer_for(settings)
                found, old = refresh(settings, dialer, bucket.wire, watch)
                findings.answers |= found
            else:
                findings.answers |= group.ask(bucket)
            if old is not None:
                old.look()
        except (UnclearError, WireError, OcihaulError) as error:
            _note(findings, group.keys, error, tell)
    if old is not None:
        tell(f"{SESSION}: watching the old token")
        try:
            findings.answers |= old.answer()
        except (UnclearError, WireError, OcihaulError) as error:
            _note(findings, ("old_token_refused_after",), error, tell)
    return findings


def _note(
    findings: Findings, keys: Collection[str], error: Exception, tell: Callable[[str], None]
) -> None:
    """Keep the reason, without what is anybody's: names of hosts, buckets, files."""
    reason = type(error).__name__
    if isinstance(error, UnclearError):
        reason = str(error)
    elif isinstance(error, ServiceError):
        reason = f"{error.operation}: {error.status} {error.code or ''}".rstrip()
    tell(f"  not found out: {reason}")
    for key in keys:
        if key not in findings.answers:
            findings.unanswered[key] = reason
