"""Every exception that ocihaul raises on purpose, on one page.

    OcihaulError
     ├── UsageError             the caller asked for something that cannot be done
     ├── ConfigError            a setting is missing or wrong: file, section, key
     ├── SessionError
     │    ├── CredentialError   key or token file missing, empty, cut, or not a pair
     │    ├── SessionExpiredError  no renewal is possible any more: a person has to log in
     │    ├── RenewalUnavailable  the auth service could not be reached for too long
     │    └── LoginError        the login page refused, or no login came in time
     ├── ServiceError           the service answered with an error status
     ├── NetworkError           no answer, after all retries
     ├── SourceError            the file cannot be read
     │    └── SourceChangedError     it is not what it was when the upload began
     ├── SpoolError             a part of a stream cannot be kept until it is sent
     ├── ChecksumError          what arrived is not what was sent
     ├── JournalError           what is done cannot be remembered
     ├── ReceiptError           a receipt cannot be read, or not be written after an upload
     ├── TooManyThreadsError    the system lets this process start no thread
     ├── OutputError            what was done cannot be printed
     ├── TransferInProgressError another process is at the same object or file
     ├── ObjectExistsError      the target is there and must not be replaced
     ├── UploadIncompleteError  a multipart upload stopped half-way; its cause is chained
     ├── LocalFileError         the local file cannot be written
     ├── ObjectChangedError     the object is not what it was when the download began
     ├── ObjectArchivedError    the object has to be restored before it can be read
     └── TransferCancelled      a person or the system asked us to stop

A message says what is wrong and where; `hint` says what to do about it; `code` is for programs.
None of them ever contains a token, a key or a signed URL.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ocihaul.printable import LONGEST_MESSAGE, cut, one_line

#: One sentence or command, or several, each in a line of its own.
Hint = str | Sequence[str] | None


class OcihaulError(Exception):
    """Base of all errors; `hint` is what to do about it, if known.

    Messages and hints quote services, files and names: each is one line, however long, and no
    terminal acts upon it. Only a hint of several lines, given as a sequence, has line breaks.
    """

    #: What it is, for programs and logs: each class has its own, which does not change.
    code: str | None = "error"
    #: The same command, run again, can go on where this one stopped.
    resumable: bool = False

    def __init__(self, message: str, *, hint: Hint = None) -> None:
        self.message = one_line(cut(message, LONGEST_MESSAGE))
        super().__init__(self.message)
        self.hint = hint

    @property
    def hint(self) -> str | None:
        """What to do about it, a sentence or a command a line."""
        return self._hint

    @hint.setter
    def hint(self, hint: Hint) -> None:
        lines = [hint] if isinstance(hint, str) else hint or []
        self._hint = "\n".join(one_line(cut(line, LONGEST_MESSAGE)) for line in lines) or None

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it whole, with the reason that is chained: workers on other hosts raise it."""
        cause = self.__cause__ if isinstance(self.__cause__, OcihaulError | OSError) else None
        return _unpickled, (type(self), self.args, dict(self.__dict__), cause)


def _unpickled(
    kind: type[OcihaulError],
    args: tuple[object, ...],
    state: dict[str, object],
    cause: BaseException | None,
) -> OcihaulError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    error.__cause__ = cause
    return error


class UsageError(OcihaulError):
    """A parameter is out of its documented range, or two exclude each other."""

    code = "usage"


class ConfigError(OcihaulError):
    """The configuration names something that is missing or malformed."""

    code = "config"


class SessionError(OcihaulError):
    """There is no usable credential."""

    code = "session"


class CredentialError(SessionError):
    """The key or the token on disk cannot be used: missing, empty, cut, or not a pair."""

    code = "credential"


class SessionExpiredError(SessionError):
    """The session cannot be renewed any more; only a new login helps."""

    code = "session-expired"
    resumable = True


class RenewalUnavailable(SessionError):
    """The auth service gave no usable answer for too long; the session itself may be fine."""

    code = "renewal-unavailable"
    resumable = True


class LoginError(SessionError):
    """The login page refused, or no login came in time."""

    code = "login"


class ServiceError(OcihaulError):
    """The service answered with a status of 400 or above.

    `headers` has lower-case names. `code` is the service's, such as BucketNotFound, and None where
    the answer had no JSON body (HEAD).
    `after_retry`: an earlier attempt of the same call had failed without saying whether it took
    effect, so this refusal may be its doing.
    """

    def __init__(
        self,
        *,
        status: int,
        code: str | None,
        message: str,
        operation: str,
        headers: Mapping[str, str] | None = None,
        hint: Hint = None,
    ) -> None:
        self.status = status
        self.code = code
        self.operation = operation
        self.after_retry = False
        self.headers = dict(headers or {})
        self.service_message = cut(message, LONGEST_MESSAGE)
        text = f"{operation}: {status} {code or ''}".rstrip()
        if message:
            text += f": {self.service_message}"
        super().__init__(f"{text} (opc-request-id: {self.opc_request_id or 'none'})", hint=hint)

    @property
    def opc_request_id(self) -> str | None:
        """The service's name for this request, for a support ticket."""
        return self.headers.get("opc-request-id")


class NetworkError(OcihaulError):
    """No usable answer: refused, cut, timed out, or not HTTP."""

    code = "network"
    resumable = True


class SourceError(OcihaulError):
    """The source cannot be read, perhaps for a passing reason."""

    code = "source"


class SourceChangedError(SourceError):
    """The source is not the file that it was when the upload began: its parts are of no use.

    `stored` is the etag of the object that was made of it as it was, None where there is none.
    """

    code = "source-changed"
    stored: str | None = None


class SpoolError(OcihaulError):
    """There is no room, in memory or on disk, for a part of a stream that waits to be sent."""

    code = "spool"


class ChecksumError(OcihaulError):
    """A checksum of the service differs from ours, after all attempts."""

    code = "checksum"


class JournalError(OcihaulError):
    """The journal cannot be opened, read or written."""

    code = "journal"


class ReceiptError(OcihaulError):
    """A receipt cannot be read; or it cannot be written, although the upload succeeded.

    In the latter case `result` is what the upload would have returned.
    """

    code = "receipt"
    result: object = None


class TooManyThreadsError(OcihaulError):
    """The system lets this process start no thread at all."""

    code = "too-many-threads"
    resumable = True


class TransferInProgressError(OcihaulError):
    """Another process uploads to the same object, or downloads to the same file, right now."""

    code = "transfer-in-progress"
    resumable = True


class ObjectExistsError(OcihaulError):
    """The object is there already and the caller said not to replace it.

    `size` (bytes) and `headers` (lower-case names) are those of the object, where it was looked at.
    `same` says whether it has the bytes of the file, where that was compared and could be.
    """

    code = "object-exists"

    def __init__(
        self,
        message: str,
        *,
        hint: Hint = None,
        size: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.size = size
        self.headers = headers or {}
        self.same: bool | None = None


class UploadIncompleteError(OcihaulError):
    """A multipart upload stopped after it was created; its finished parts stay on the service.

    `upload_id` names it; the reason is chained as `__cause__`.
    """

    code = "upload-incomplete"

    def __init__(self, message: str, *, upload_id: str, resumable: bool, hint: Hint = None) -> None:
        super().__init__(message, hint=hint)
        self.upload_id = upload_id
        self.resumable = resumable


class LocalFileError(OcihaulError):
    """The local file of a download cannot be written; `resumable` once bytes of it are kept."""

    code = "local-file"

    def __init__(self, message: str, *, hint: Hint = None, resumable: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.resumable = resumable


class OutputError(OcihaulError):
    """The work is done, but its answer cannot be written to where it was to go."""

    code = "output"


class ObjectChangedError(OcihaulError):
    """The object was replaced or deleted while it was downloaded: no byte of it was kept."""

    code = "object-changed"


class ObjectArchivedError(OcihaulError):
    """The object is in the Archive tier and not restored."""

    code = "object-archived"


class TransferCancelled(OcihaulError):
    """SIGINT or SIGTERM arrived."""

    code = "cancelled"
    resumable = True
