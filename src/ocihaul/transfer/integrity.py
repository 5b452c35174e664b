"""Compare what the service has with what we sent, part by part and as a whole."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ocihaul.errors import ChecksumError
from ocihaul.events import Listener, Notice
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, MD5


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part that the service has: its size, etag and our own digests of what was sent.

    `request_id` is the service's name for the request that brought it, where known.
    """

    size: int
    etag: str
    digests: Mapping[str, bytes]
    request_id: str | None = None


class Integrity:
    """Which checksums an upload computes and compares.

    `declared` is told to the service (`opc-checksum-algorithm`), which then computes it too. A
    service that does not give the value back is checked by MD5, which it always computes; from
    then on MD5 is computed while sending, and once by a second read for a part already sent.
    """

    def __init__(self, *, declared: str | None, want_md5: bool, listener: Listener) -> None:
        self.declared = declared or CRC32C
        self._listener = listener
        self._lock = threading.Lock()  # guards _algorithms and _fallen_back
        self._fallen_back = False
        # CRC32C costs next to nothing and proves the whole object, whatever is declared.
        self._algorithms = frozenset({self.declared, CRC32C} | ({MD5} if want_md5 else set()))

    @property
    def algorithms(self) -> frozenset[str]:
        """What to compute while sending."""
        return self._algorithms

    def request_headers(self) -> dict[str, str]:
        """The headers that declare the algorithm; MD5 is not declared, as it is always computed."""
        return {} if self.declared == MD5 else {"opc-checksum-algorithm": self.declared}

    def check_part(
        self,
        digests: Mapping[str, bytes],
        answer: Mapping[str, str],
        reread: Callable[[str], bytes],
    ) -> Mapping[str, bytes]:
        """The digests of a part that the service has right; ChecksumError otherwise.

        `reread` computes a digest from the source, for what was not computed while sending.
        """
        if checksum.content_header(self.declared) not in answer and MD5 not in digests:
            self._fall_back()
            digests = {**digests, MD5: reread(MD5)}
        ours = {checksum.content_header(name): checksum.encoded(d) for name, d in digests.items()}
        wrong = checksum.differing(ours, answer)
        if wrong is not None:
            raise ChecksumError(f"{wrong} is {answer[wrong]}, but what was sent has {ours[wrong]}")
        if not any(name in answer for name in ours):
            raise ChecksumError("the service returned no checksum at all")
        return digests

    def whole_headers(self, parts: Sequence[SentPart]) -> dict[str, str]:
        """The headers that the multipart object must have, as far as its parts tell them."""
        return {
            checksum.multipart_header(name): checksum.whole(
                name, ((part.digests[name], part.size) for part in parts)
            )
            for name in self._algorithms | {MD5}
            if all(name in part.digests for part in parts)
        }

    def _fall_back(self) -> None:
        with self._lock:
            first = not self._fallen_back
            self._fallen_back = True
            self._algorithms |= {MD5}
        if first:
            self._listener(
                Notice(f"The service does not return {self.declared} values: checking by MD5.")
            )


def check_whole(expected: Mapping[str, str], answer: Mapping[str, str], name: str) -> bool:
    """Compare the committed object with what was sent.

    True when at least one checksum of the whole was compared, ChecksumError when one differs.
    """
    wrong = checksum.differing(expected, answer)
    if wrong is not None:
        kind = "md5" if wrong.endswith("md5") else wrong
        raise ChecksumError(
            f"{kind} checksum does not match [Local: {expected[wrong]}] "
            f"[Service: {answer[wrong]}]: the object {name!r} is not what was sent",
            hint="The object is there but wrong: upload it again with `existing='overwrite'`.",
        )
    return any(header in answer for header in expected)
