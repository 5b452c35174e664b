"""One PutObject with its checksum in the request: the service compares before it stores.

A body that differs from `opc-content-crc32c` (or -sha256, -sha384) is refused with a 400, and what
the name held stays
(https://docs.oracle.com/iaas/api/#/en/objectstorage/20160918/Object/PutObject).
So nothing becomes visible uncompared, whenever the process ends. The answer is compared all the
same: where the service does not heed the header, a damaged object is replaced at once, or deleted.
The checksum comes first in the request, so the bytes are read before they are sent.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ocihaul.errors import (
    ChecksumError,
    OcihaulError,
    ServiceError,
    SessionError,
    SourceChangedError,
    TransferCancelled,
)
from ocihaul.events import Notice, PartFinished
from ocihaul.storage.calls import Headers
from ocihaul.threads import AbandonedError
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, MD5, Integrity, SentPart
from ocihaul.transfer.plan import DEFAULT_PART_SIZE
from ocihaul.transfer.source import BLOCK, Source, buffer_for, digest_range
from ocihaul.transfer.upload.context import RemoteObject, UploadContext, compare_expected_checksums
from ocihaul.transfer.upload.part_uploader import MOST_SENDS, RangeBody
from ocihaul.transfer.upload.request import UploadResult, expected_checksums, put_headers
from ocihaul.transport.message import Body

#: What a 400 about a checksum says in its code or message, in lower case and without spaces and
#: signs. Documented: "Unmatched Content MD5", "… CRC32C", "… SHA256". Recorded of the real
#: service: "The value of the Content-MD5 header …".
_DAMAGE = re.compile(r"unmatched|mismatch|notmatch|content(md5|crc32c|sha256|sha384)")
_HINT = "Check this machine's memory and disk, and the proxies on the way."


@dataclass(frozen=True, slots=True)
class Content:
    """`size` bytes to be put, with their `digests` (the declared algorithm, CRC32C).

    `reread` computes another digest. `discarded` is called with the reason why the bytes that were
    sent do not count.
    """

    body: bytes | Body
    size: int
    digests: Mapping[str, bytes]
    reread: Callable[[str], bytes]
    discarded: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Stored:
    """What the service answered, and the digests that were compared with it."""

    headers: Headers
    digests: Mapping[str, bytes]


@dataclass(slots=True)
class VerifiedPut:
    """Put one object. `headers` are the request's, but for our checksum and preconditions.

    `settle_conflicts`: when a precondition fails, an object that equals ours already is a success.
    It may be of an earlier run that was killed. A caller that compares and swaps by an etag of its
    own does not want that.
    """

    remote: RemoteObject
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
            # Without a session the request cannot be signed, and might wait for a login.
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
                content.discarded(error.message)
                if sends == MOST_SENDS or (self._visible and "etag" not in self._visible):
                    times = "once" if sends == 1 else f"{sends} times"
                    what = f"{self.remote.name!r} arrived damaged {times}: {error.message}"
                    raise ChecksumError(what, hint=_HINT) from error
            preconditions = self._next(preconditions)

    def _next(self, preconditions: Headers) -> Headers:
        """The preconditions of another send: they hold for what the last one has left."""
        if self._visible is not None:
            return {"if-match": self._visible["etag"]}
        if self._replaced and "if-match" in preconditions and self.remote.head() is None:
            return {"if-none-match": "*"}
        return preconditions

    def _attempt(self, content: Content, headers: Headers) -> Stored:
        """Send it once. Raises ChecksumError when it arrived damaged: refused, or deleted."""
        try:
            answer = self.remote.put(content.body, headers)
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
            there = self._matching(content)
            if there is None:
                self._delete(answer)
                raise
            self._visible = None
            return there

    def _same(self, content: Content, error: ServiceError) -> Stored | None:
        """What is stored, if it is ours after a lost reply, or equals ours in all that counts."""
        if not (error.after_retry or self.settle_conflicts):
            return None
        there = self._matching(content)
        if there is not None and not error.after_retry:
            return there if _has_attributes(there.headers, self.headers) else None
        return there

    def _matching(self, content: Content) -> Stored | None:
        """What is stored, if it has our size and checksums."""
        digests = {**content.digests}
        if MD5 not in digests:  # objects have it that have nothing else
            digests[MD5] = content.reread(MD5)
        expected = {checksum.content_header(n): checksum.encoded(d) for n, d in digests.items()}
        headers = self.remote.matching(content.size, expected)
        return None if headers is None else Stored(headers, digests)

    def _delete(self, damaged: Headers) -> None:
        """Delete a damaged object, if that can be done."""
        self._replaced = True
        version, etag = damaged.get("version-id"), damaged.get("etag")
        if version is None and etag is None:
            self._trouble = "the answer does not say which object it is"
            return
        try:
            self.remote.delete(version, etag)
        except OcihaulError as error:
            self._trouble = error.message
        else:
            self._visible = None

    def _outcome(self, error: OcihaulError) -> str:
        """What the name holds after a failure, to be added to its message."""
        name = self.remote.name
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


def put_single(
    context: UploadContext, source: Source, size: int, preconditions: Headers
) -> UploadResult:
    """Upload a whole source as one PutObject.

    A megabyte is held in memory. What is larger is read once for its checksum, and again to be
    sent, from the system's cache as a rule; its last block is not sent unless the bytes are the
    same. Raises ChecksumError, SourceError, and what `VerifiedPut.send` raises.
    """
    if size <= BLOCK:
        source = _InMemory(source, size)
    elif size > DEFAULT_PART_SIZE:
        context.listener(Notice("It is read once for its checksum before it is sent."))
    content, body = _content(context, source, size)
    put = VerifiedPut(
        context.remote,
        context.integrity,
        put_headers(context.request),
        settle_conflicts=context.request.if_match is None,
    )
    try:
        stored = put.send(content, preconditions)
    finally:
        context.count_sent(body.total_sent)
    _check_unchanged_although_stored(context, source, stored.headers)
    context.listener(PartFinished(1, size, context.request.name))
    etag, request_id = stored.headers.get("etag", ""), stored.headers.get("opc-request-id")
    md5 = stored.digests.get(MD5)
    return context.result(
        stored.headers,
        size=size,
        part_count=1,
        crc32c=checksum.encoded(stored.digests[CRC32C]),
        md5=checksum.encoded(md5) if md5 is not None else None,
        parts=[SentPart(size, etag, stored.digests, request_id)],
    )


def _content(context: UploadContext, source: Source, size: int) -> tuple[Content, RangeBody]:
    """Read it for its checksums, and compare those that the caller gave."""
    buffer = buffer_for(size)

    def check() -> None:
        if context.stop.is_set():
            raise TransferCancelled("stopped while the file was read")
        if context.abandoned.is_set():
            raise AbandonedError

    def digest(*algorithms: str) -> dict[str, bytes]:
        return digest_range(source, 0, size, algorithms, buffer=buffer, check=check)

    expected = expected_checksums(context.request)
    digests = digest(*(context.integrity.algorithms | expected.keys()))
    compare_expected_checksums(context.request, digests)
    source.check_unchanged()
    body = RangeBody(
        source,
        0,
        size,
        part_number=1,
        name=context.request.name,
        algorithms=frozenset({CRC32C}),
        expected={CRC32C: digests[CRC32C]},
        buffer=buffer,
        listener=context.listener,
        abandoned=context.abandoned,
    )
    content = Content(body, size, digests, lambda name: digest(name)[name], body.discard_progress)
    return content, body


class _InMemory:
    """A short source, read once and held in memory."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self._data = memoryview(bytearray(size))
        source.read_into(self._data, 0)

    def read_into(self, view: memoryview, offset: int) -> None:
        view[:] = self._data[offset : offset + len(view)]

    def check_unchanged(self) -> None:
        self._source.check_unchanged()


def _check_unchanged_although_stored(
    context: UploadContext, source: Source, answer: Headers
) -> None:
    """Raise SourceChangedError, with the etag of what was stored, when that is older."""
    try:
        source.check_unchanged()
    except SourceChangedError as error:
        error.hint = (
            f"What was stored as {context.request.name!r} is older. Upload it again when no "
            "program writes to it."
        )
        error.stored = answer.get("etag")
        raise
