"""Which errors are about one of several, and which about all."""

import errno
import os

import pytest

from ocihaul.cli.error_text import error_text, failure_lines
from ocihaul.cli.process import is_of_one
from ocihaul.cli.shell.uri import in_address_words
from ocihaul.errors import (
    ConfigError,
    LocalFileError,
    NetworkError,
    OcihaulError,
    ServiceError,
    SessionExpiredError,
    SourceError,
    SpoolError,
    TransferCancelled,
    UsageError,
)


def answered(status: int, code: str) -> ServiceError:
    return ServiceError(status=status, code=code, message="x", operation="GetObject")


def caused(error: OcihaulError, cause: Exception) -> OcihaulError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        answered(404, "ObjectNotFound"),
        answered(409, "IncorrectState"),
        answered(403, "NotAllowed"),
        SourceError("a cannot be read"),
        caused(LocalFileError("a"), OSError(errno.EACCES, "x")),
        caused(LocalFileError("a"), answered(404, "ObjectNotFound")),
        OcihaulError("there is no such object"),
    ],
)
def test_what_is_about_one(error: OcihaulError) -> None:
    assert is_of_one(error)


@pytest.mark.parametrize(
    "error",
    [
        answered(404, "BucketNotFound"),
        answered(401, "NotAuthenticated"),
        answered(429, "TooManyRequests"),
        answered(503, "ServiceUnavailable"),
        SessionExpiredError("x"),
        TransferCancelled("x"),
        ConfigError("x"),
        NetworkError("x"),
        SpoolError("x"),
        *(
            caused(LocalFileError("a"), OSError(number, os.strerror(number)))
            for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
        ),
        caused(LocalFileError("a"), NetworkError("x")),
    ],
)
def test_what_is_about_all(error: OcihaulError) -> None:
    assert not is_of_one(error)


def test_a_bucket_that_is_missing_is_about_one_where_there_are_several() -> None:
    assert is_of_one(answered(404, "BucketNotFound"), one_bucket=False)


def test_errors_speak_of_addresses_and_paths() -> None:
    inner = UsageError("--file: f cannot be read", hint=["Check `bucket`, `namespace`.", "Second."])
    error = OcihaulError("outer", hint="check `name` and `region`")
    error.__cause__ = inner
    in_address_words(error)
    assert (inner.message, inner.hint) == (
        "f cannot be read",
        "Check the bucket, the namespace.\nSecond.",
    )
    assert error.hint == "check the object's name and `region`"
    missing = answered(404, "")
    in_address_words(missing)
    assert "the bucket and the namespace in the address, and --region" in error_text(missing)


def test_what_has_failed_is_named_once() -> None:
    assert failure_lines("a", OcihaulError("a: no", hint="h")) == ["failed: a: no", "h"]
    assert failure_lines("a", OcihaulError("a is no")) == ["failed: a is no"]
    assert failure_lines("a", OcihaulError("about: no")) == ["failed: a: about: no"]
