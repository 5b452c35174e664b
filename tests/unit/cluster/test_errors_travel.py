"""Errors are pickled whole: what a worker raises, the driver raises."""

import pickle

import pytest

from ocihaul import errors
from ocihaul.errors import (
    LocalFileError,
    NetworkError,
    ObjectExistsError,
    OcihaulError,
    ServiceError,
    SourceError,
    UploadIncompleteError,
)


def every(kind: type[OcihaulError]) -> list[type[OcihaulError]]:
    return [kind, *(each for below in kind.__subclasses__() for each in every(below))]


def service_error() -> ServiceError:
    error = ServiceError(
        status=412,
        code="IfMatchFailed",
        message="it is another",
        operation="PutObject",
        headers={"opc-request-id": "abc"},
        hint="Look.",
    )
    error.after_retry = True
    return error


@pytest.mark.parametrize(
    "error",
    [
        service_error(),
        ObjectExistsError("it exists", size=3, headers={"etag": "e"}),
        UploadIncompleteError("it is not complete", upload_id="u", resumable=True, hint=["a", "b"]),
        LocalFileError("no room", resumable=True),
        NetworkError("no answer"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_each_travels_whole(error: OcihaulError) -> None:
    there = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    assert type(there) is type(error)
    assert vars(there) == vars(error)
    assert (str(there), there.args, there.resumable) == (str(error), error.args, error.resumable)


def test_all_that_there_are_do() -> None:
    ours = [each for each in every(OcihaulError) if each.__module__ == errors.__name__]
    assert len(ours) > 20
    for kind in ours:
        bare = kind.__new__(kind, "what")
        OcihaulError.__init__(bare, "what", hint="do")
        there = pickle.loads(pickle.dumps(bare))  # noqa: S301  our own
        assert (type(there), there.message, there.hint) == (kind, "what", "do")


def test_the_reason_travels_along() -> None:
    try:
        try:
            raise OSError(28, "No space left on device")
        except OSError as full:
            raise SourceError("it cannot be read") from full
    except SourceError as error:
        there = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    assert isinstance(there.__cause__, OSError)
    assert there.__cause__.errno == 28
