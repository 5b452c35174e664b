"""Whether the object on the service is ours, and what that question may end in."""

from pathlib import Path

import pytest

from ocihaul.errors import (
    NetworkError,
    OcihaulError,
    ServiceError,
    SessionExpiredError,
    TransferCancelled,
)
from ocihaul.storage.values import ObjectSummary
from ocihaul.transfer.upload.context import RemoteObject
from ocihaul.transfer.upload.request import UploadRequest

REQUEST = UploadRequest(source=Path("x"), namespace="n", bucket="b", name="o")


class Failing:
    """A storage client that cannot answer HEAD."""

    def __init__(self, error: OcihaulError) -> None:
        self.error = error

    def head_object(self, *_: object) -> ObjectSummary:
        raise self.error


def settled(error: OcihaulError) -> object:
    target = RemoteObject(Failing(error), REQUEST)  # type: ignore[arg-type]  # a double
    return target.matching(1, {"opc-content-crc32c": "x"})


@pytest.mark.parametrize(
    "error",
    [
        ServiceError(status=403, code=None, message="", operation="HeadObject"),
        NetworkError("cut"),
    ],
)
def test_an_object_that_cannot_be_asked_about_is_not_settled(error: OcihaulError) -> None:
    assert settled(error) is None


@pytest.mark.parametrize("error", [TransferCancelled("stopped"), SessionExpiredError("over")])
def test_what_is_not_about_the_object_is_told(error: OcihaulError) -> None:
    with pytest.raises(type(error)):
        settled(error)
