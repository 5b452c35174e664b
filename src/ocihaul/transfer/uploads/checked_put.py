"""One PutObject with its checksum in the request: the service compares it before it stores.

A body that differs from `opc-content-crc32c` (or -sha256, -sha384) is refused with a 400, and what
the name held stays
(https://docs.oracle.com/iaas/api/#/en/objectstorage/20160918/Object/PutObject).
So nothing becomes visible uncompared, whenever the process ends. The answer is compared all the
same: where the header is not heeded, a damaged object is replaced at once, or deleted.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ocihaul.errors import ChecksumError, OcihaulError, ServiceError, SessionError
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import MD5
from ocihaul.transfer.integrity import Integrity
from ocihaul.transfer.uploads.sending import MOST_SENDS, Headers
from ocihaul.transfer.uploads.target import TargetObject
from ocihaul.transport.message import Body

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
