"""The rules, and two streams side by side."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocihaul.directories.compare import (
    SyncAction,
    SyncMode,
    in_order,
    judge_download,
    judge_upload,
    side_by_side,
)
from ocihaul.directories.names import sort_key
from ocihaul.errors import ServiceError
from ocihaul.storage.values import ListedObject

SECOND = 1_000_000_000
T = 1_700_000_000


def there(size: int = 5, modified: str = "2023-11-14T22:13:20.500Z") -> ListedObject:
    """Modified at T + 0.5 s."""
    return ListedObject(name="x", size=size, etag="e", time_modified=modified)


@pytest.mark.parametrize(
    ("mode", "verdict"),
    [
        (SyncMode.REPLACE, SyncAction.SEND),
        (SyncMode.KEEP, SyncAction.SKIP),
        (SyncMode.ASK, SyncAction.ASK),
        (SyncMode.SYNC, SyncAction.SKIP),
    ],
)
def test_what_happens_to_what_is_there(mode: SyncMode, verdict: SyncAction) -> None:
    assert judge_upload(mode, 5, T * SECOND, there()) is verdict
    assert judge_download(mode, there(), 5, T * SECOND) is verdict


@pytest.mark.parametrize("mode", SyncMode)
def test_what_is_not_there_is_sent(mode: SyncMode) -> None:
    assert judge_upload(mode, 5, 0, None) is SyncAction.SEND


def test_sync_compares_what_is_newer_and_sends_what_has_another_size() -> None:
    half = T * SECOND + SECOND // 2
    assert judge_upload(SyncMode.SYNC, 5, half, there()) is SyncAction.SKIP
    assert judge_upload(SyncMode.SYNC, 5, half + 1, there()) is SyncAction.COMPARE
    assert judge_upload(SyncMode.SYNC, 6, 0, there()) is SyncAction.SEND


def test_sync_compares_what_is_older_in_whole_seconds_and_fetches_another_size() -> None:
    assert judge_download(SyncMode.SYNC, there(), 5, T * SECOND) is SyncAction.SKIP
    assert judge_download(SyncMode.SYNC, there(), 5, T * SECOND - 1) is SyncAction.COMPARE
    assert judge_download(SyncMode.SYNC, there(), 4, T * SECOND) is SyncAction.SEND


def test_finding_b05_with_checksum_no_time_is_believed() -> None:
    assert judge_upload(SyncMode.SYNC, 5, 0, there(), checksum=True) is SyncAction.COMPARE
    assert judge_upload(SyncMode.SYNC, 6, 0, there(), checksum=True) is SyncAction.SEND
    far = 9 * T * SECOND
    assert judge_download(SyncMode.SYNC, there(), 5, far, checksum=True) is SyncAction.COMPARE
    assert judge_download(SyncMode.SYNC, there(), 4, far, checksum=True) is SyncAction.SEND


NAMES = st.sets(st.text(max_size=3)).map(lambda names: sorted(names, key=sort_key))


@given(NAMES, NAMES)
def test_every_name_comes_once_with_its_partner(ours: list[str], theirs: list[str]) -> None:
    remote: Iterator[ListedObject] = (ListedObject(name=name) for name in theirs)
    stream = side_by_side(iter(ours), remote, sort_key)
    pairs = list(stream)
    for left, right in pairs:
        assert right is None or left in {None, right.name}
    both = {left for left, right in pairs if left is not None and right is not None}
    assert both == set(ours) & set(theirs)
    assert [left for left, _ in pairs if left is not None] == ours
    assert [right.name for _, right in pairs if right is not None] == theirs


@pytest.mark.parametrize("names", [["b", "a"], ["a", "a"], ["é", "z"]])
def test_a_list_out_of_order_proves_nothing(names: list[str]) -> None:
    objects = (ListedObject(name=name) for name in names)
    with pytest.raises(ServiceError, match="order"):
        list(in_order(objects))
