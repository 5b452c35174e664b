"""Which errors are about one of several, and which about all."""

import errno
import os

import pytest

from ocihaul.cli.shell.several import is_of_one
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
