"""Which names are refused before anything is sent."""

import pytest

from ocihaul.errors import UsageError
from ocihaul.storage.names import (
    bucket_path,
    check_bucket_name,
    check_object_name,
    object_path,
    upload_path,
)


@pytest.mark.parametrize("name", ["x" * 1024, "ü" * 512, "日" * 341, "\U0001f600" * 256, "a\nb"])
def test_finding_b08_names_of_at_most_1024_bytes_go_out(name: str) -> None:
    check_object_name(name)
    assert object_path("n", "b", name).startswith("/n/n/b/b/o/")
    assert upload_path("n", "b", name).startswith("/n/n/b/b/u/")


@pytest.mark.parametrize(
    ("name", "size"),
    [("x" * 1025, 1025), ("ü" * 513, 1026), ("日" * 342, 1026), ("\U0001f600" * 257, 1028)],
)
def test_finding_b08_longer_names_are_refused_by_name(name: str, size: int) -> None:
    for refuse in (
        lambda: check_object_name(name),
        lambda: object_path("n", "b", name),
        lambda: upload_path("n", "b", name),
    ):
        with pytest.raises(UsageError, match=f"object name: .*… has {size} bytes of UTF-8"):
            refuse()


def test_finding_b08_empty_names_and_long_buckets_are_refused() -> None:
    with pytest.raises(UsageError, match="object name: it is empty"):
        object_path("n", "b", "")
    check_bucket_name("b" * 256)
    for bucket in ("", "b" * 257):
        with pytest.raises(UsageError, match="bucket name"):
            bucket_path("n", bucket)
