"""A whole file, or a stream that is short, as one PutObject.

Its checksum goes along in the request, so the bytes are read before they are sent. A megabyte is
held meanwhile. What is larger is read again to be sent, from the system's cache as a rule, and
must be the same then: else its last block does not go out.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ocihaul.errors import (
    ChecksumError,
    Interrupted,
    OcihaulError,
    ServiceError,
    SessionError,
    SourceChanged,
)
from ocihaul.events import Notice, PartFinished
from ocihaul.transfer import checksum
from ocihaul.transfer.buffers import BLOCK, AbandonedError, buffer_for
from ocihaul.transfer.checksum import CRC32C, MD5
from ocihaul.transfer.hashing import digest_range
from ocihaul.transfer.integrity import Integrity, SentPart
from ocihaul.transfer.plan import DEFAULT_PART_SIZE
from ocihaul.transfer.source import Source
from ocihaul.transfer.upload.context import Job, announced, compare_announced
from ocihaul.transfer.upload.part_uploader import MOST_SENDS, Headers, RangeBody
from ocihaul.transfer.upload.remote_object import TargetObject
from ocihaul.transfer.upload.request import UploadResult, put_headers
from ocihaul.wire.message import Body

#: What a 400 about a checksum says in its code or message, in lower case and without spaces and
#: signs. Documented: "Unmatched Content MD5", "… CRC32C", "… SHA256". Recorded of the real
#: service: "The value of the Content-MD5 header …".
_DAMAGE = re.compile(r"unmatched|mismatch|notmatch|content(md5|crc32c|sha256|sha384)")
_HINT = "Check this machine's memory and disk, and the proxies on the way."


@dataclass(frozen=True, slots=True)
class Content:
    """`size` bytes to be put. `digests` (the declared one, CRC32C) are known before one goes out.

    `reread` computes another digest. `thrown_away` is told why what was sent does not count.
    """

    body: bytes | Body
    size: int
    digests: Mapping[str, bytes]
    reread: Callable[[str], bytes]
    thrown_away: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Stored:
    """The service has it right: what it answered, and the digests that were compared."""

    headers: Headers
    digests: Mapping[str, bytes]


@dataclass(slots=True)
class CheckedPut:
    """Puts one object. `headers` are the request's, but for our checksum and preconditions.

    `settle_conflicts`: when a precondition fails, an object that is the same already is a success.
    It may be the work of an earlier run that was killed. A caller who compares and swaps by an
    etag of its own does not want that.
    """

    target: TargetObject
    integrity: Integrity
    headers: Headers
    settle_conflicts: bool = True
    #: The answer to a damaged body that is an object now, and why it could not be deleted.
    _visible: Headers | None = field(default=None, init=False)
    _trouble: str = field(default="", init=False)
    #: A damaged object has taken the place of what was there before.
    _replaced: bool = field(default=False, init=False)

    def send(self, content: Content, preconditions: Headers) -> Stored:
        """Send it until the service has it right.

        Raises ChecksumError when it arrived damaged three times, ServiceError (412 when a
        precondition fails), and what the body and the call raise. After damage the error's message
        says what the name holds now.
        """
        try:
            return self._send(content, preconditions)
        except OcihaulError as error:
            # Without a session there is nothing to sign with, and asking might wait for one.
            if self._visible is not None and not isinstance(error, SessionError):
                self._delete(self._visible)
            error.message += self._outcome(error)
            raise

    def _send(self, content: Content, preconditions: Headers) -> Stored:
        declared = self.integrity.declared
        guard = {
            **self.integrity.request_headers(),
            checksum.content_header(declared): checksum.encoded(content.digests[declared]),
        }
        sends = 0
        while True:
            sends += 1
            try:
                return self._attempt(content, {**self.headers, **guard, **preconditions})
            except ChecksumError as error:
                content.thrown_away(error.message)
                if sends == MOST_SENDS or (self._visible and "etag" not in self._visible):
                    times = "once" if sends == 1 else f"{sends} times"
                    what = f"{self.target.name!r} arrived damaged {times}: {error.message}"
                    raise ChecksumError(what, hint=_HINT) from error
            preconditions = self._next(preconditions)

    def _next(self, preconditions: Headers) -> Headers:
        """The preconditions of another send: they hold for what the last one has left."""
        if self._visible is not None:
            return {"if-match": self._visible["etag"]}
        if self._replaced and "if-match" in preconditions and self.target.head() is None:
            return {"if-none-match": "*"}
        return preconditions

    def _attempt(self, content: Content, headers: Headers) -> Stored:
        """Send it once. Raises ChecksumError when it arrived damaged: refused, or deleted."""
        try:
            answer = self.target.put(content.body, headers)
        except ServiceError as error:
            if error.status == 412 and (same := self._same(content, error)) is not None:
                return same
            if is_about_a_checksum(error):
                raise ChecksumError(error.message) from error
            raise
        try:
            return Stored(
                answer, self.integrity.check_part(content.digests, answer, content.reread)
            )
        except ChecksumError:
            self._visible = answer
            # The answer alone may be wrong: the object itself tells.
            there = self._settled(content)
            if there is None:
                self._delete(answer)
                raise
            self._visible = None
            return there

    def _same(self, content: Content, error: ServiceError) -> Stored | None:
        """What is there, if it is ours after a lost reply, or could be in all that is asked for."""
        if not (error.after_retry or self.settle_conflicts):
            return None
        there = self._settled(content)
        if there is not None and not error.after_retry:
            return there if _has_attributes(there.headers, self.headers) else None
        return there

    def _settled(self, content: Content) -> Stored | None:
        """What is there, if it has our size and checksums."""
        digests = {**content.digests}
        if MD5 not in digests:  # objects have it that have nothing else
            digests[MD5] = content.reread(MD5)
        expected = {checksum.content_header(n): checksum.encoded(d) for n, d in digests.items()}
        headers = self.target.settled(content.size, expected)
        return None if headers is None else Stored(headers, digests)

    def _delete(self, damaged: Headers) -> None:
        """Delete a damaged object, if that can be done."""
        self._replaced = True
        version, etag = damaged.get("version-id"), damaged.get("etag")
        if version is None and etag is None:
            self._trouble = "the answer does not say which object it is"
            return
        try:
            self.target.withdraw(version, etag)
        except OcihaulError as error:
            self._trouble = error.message
        else:
            self._visible = None

    def _outcome(self, error: OcihaulError) -> str:
        """What the name holds after a failure, to be added to its message."""
        name = self.target.name
        if self._visible is not None:
            text = f"; {name!r} holds damaged bytes now, and what it held before is gone"
            return f"{text} (it could not be deleted: {self._trouble or 'no session'})"
        if self._replaced:
            return (
                "; the service had stored it damaged, and that was deleted: what the name held "
                "before is gone, unless the bucket keeps versions"
            )
        if isinstance(error, ChecksumError):
            return "; nothing was stored, and what the name held before is untouched"
        return ""


def is_about_a_checksum(error: ServiceError) -> bool:
    """Whether the service has refused a body because it is not what its checksum says."""
    said = re.sub(r"[^a-z0-9]", "", f"{error.code} {error.service_message}".lower())
    return error.status == 400 and _DAMAGE.search(said) is not None


def _has_attributes(there: Headers, wanted: Headers) -> bool:
    """Whether an object has the metadata, type and tier that a request asks for; pure."""
    return all(
        there.get(name) == value
        if name.startswith("opc-meta-")
        else there.get(name, value) == value
        for name, value in wanted.items()
    )


def put_whole(job: Job, source: Source, size: int, preconditions: Headers) -> UploadResult:
    """Send all of `source`. Raises ChecksumError, SourceError, what `CheckedPut.send` raises."""
    if size <= BLOCK:
        source = _Held(source, size)
    elif size > DEFAULT_PART_SIZE:
        job.listener(Notice("It is read once for its checksum before it is sent."))
    content, body = _content(job, source, size)
    put = CheckedPut(
        job.target,
        job.integrity,
        put_headers(job.request),
        settle_conflicts=job.request.if_match is None,
    )
    try:
        stored = put.send(content, preconditions)
    finally:
        job.sender.count(body.total_sent)
    _check_unchanged_although_stored(job, source, stored.headers)
    job.listener(PartFinished(1, size))
    etag, request_id = stored.headers.get("etag", ""), stored.headers.get("opc-request-id")
    md5 = stored.digests.get(MD5)
    return job.result(
        stored.headers,
        size=size,
        part_count=1,
        crc32c=checksum.encoded(stored.digests[CRC32C]),
        md5=checksum.encoded(md5) if md5 is not None else None,
        parts=[SentPart(size, etag, stored.digests, request_id)],
    )


def _content(job: Job, source: Source, size: int) -> tuple[Content, RangeBody]:
    """Read it for its checksums, and make of it what can be sent."""
    buffer = buffer_for(size)

    def check() -> None:
        if job.stop.is_set():
            raise Interrupted("stopped while the file was read")
        if job.abandoned.is_set():
            raise AbandonedError

    def digest(*algorithms: str) -> dict[str, bytes]:
        return digest_range(source, 0, size, algorithms, buffer=buffer, check=check)

    given = announced(job.request)
    digests = digest(*(job.integrity.algorithms | given.keys()))
    compare_announced(job.request, digests)
    source.check_unchanged()
    body = RangeBody(
        source,
        0,
        size,
        part_number=1,
        algorithms=frozenset({CRC32C}),
        expected={CRC32C: digests[CRC32C]},
        buffer=buffer,
        listener=job.listener,
        abandoned=job.abandoned,
    )
    content = Content(body, size, digests, lambda name: digest(name)[name], body.throw_away)
    return content, body


class _Held:
    """A short source that is read once."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self._data = memoryview(bytearray(size))
        source.read_into(self._data, 0)

    def read_into(self, view: memoryview, offset: int) -> None:
        view[:] = self._data[offset : offset + len(view)]

    def check_unchanged(self) -> None:
        self._source.check_unchanged()


def _check_unchanged_although_stored(job: Job, source: Source, answer: Headers) -> None:
    """What was stored is the source as it was, and older than what it is now: say so."""
    try:
        source.check_unchanged()
    except SourceChanged as error:
        error.hint = (
            f"What was stored as {job.request.name!r} is older. Upload it again when nobody "
            "writes to it."
        )
        error.stored = answer.get("etag")
        raise
