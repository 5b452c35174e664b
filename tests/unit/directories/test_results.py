"""Results that are kept off the heap, and the summary that is made of them."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocihaul.cli.directories.run import (
    DELETE,
    UPLOAD,
    document,
    json_pieces,
    print_summary,
    rows,
)
from ocihaul.cli.output import View
from ocihaul.directories.results import FAILED, NOT_DELETED, SKIPPED, UPLOADED, Results
from ocihaul.errors import JournalError

TEXT = st.text(max_size=4)


@given(
    st.dictionaries(TEXT, st.dictionaries(TEXT, TEXT, max_size=3), max_size=5),
    st.dictionaries(TEXT, TEXT, max_size=5),
    st.sets(TEXT, max_size=5),
)
def test_the_pieces_are_what_json_dumps_makes(
    uploaded: dict[str, dict[str, str]], failed: dict[str, str], skipped: set[str]
) -> None:
    with Results() as results:
        for name, value in uploaded.items():
            results.add(UPLOADED, name, value)
        for name, text in failed.items():
            results.add(FAILED, name, text)
        for name in skipped:
            results.add(SKIPPED, name)
        whole = document(results, UPLOAD)
        assert set(whole["skipped-objects"]) == {
            s.encode(errors="backslashreplace").decode() for s in skipped
        }
        told = json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False)
        assert "".join(json_pieces(results, UPLOAD)) == told + "\n"


def test_more_than_one_batch_comes_whole_and_sorted() -> None:
    with Results() as results:
        for number in range(2500, 0, -1):
            results.add(SKIPPED, f"{number:05}")
        names = [name for name, _ in results.items(SKIPPED)]
        assert names == [f"{number:05}" for number in range(1, 2501)]
        assert results.count(SKIPPED) == 2500


def test_a_name_is_noted_once() -> None:
    with Results() as results:
        assert results.claim("file", "a", "first")
        assert not results.claim("file", "a", "second")
        results.add("file", "a", "third")
        assert results.value("file", "a") == "first"
        assert results.has("file", "a")
        assert not results.has("file", "b")
        assert results.value("file", "b") is None
        assert results.count("file") == 1


def test_a_query_and_a_table_see_all_of_it() -> None:
    with Results() as results:
        results.add(UPLOADED, "a", {"etag": "1"})
        results.add(FAILED, "b", "broken")
        stream = io.StringIO()
        assert print_summary(
            results, UPLOAD, View("json", '"uploaded-objects".a.etag', raw=True), stream
        )
        assert stream.getvalue() == "1\n"
        assert rows(results, UPLOAD) == [
            {"action": "Uploaded", "type": "file", "name": "a", "etag": "1"},
            {"action": "Failed", "type": "file", "name": "b", "error-message": "broken"},
        ]
        assert not print_summary(results, UPLOAD, View("json", "nothing", raw=False), io.StringIO())


def test_a_deletion_that_failed_is_called_object_in_the_table() -> None:
    with Results() as results:
        results.add(NOT_DELETED, "a", "broken")
        assert rows(results, DELETE) == [
            {"action": "Failed", "object": "a", "error-message": "broken"}
        ]


def test_no_room_is_told() -> None:
    with Results() as results:
        results._database.execute("PRAGMA max_page_count = 10")
        with pytest.raises(JournalError, match="TMPDIR"):
            _fill(results)


def _fill(results: Results) -> None:
    for number in range(100_000):
        results.add(SKIPPED, f"{number:0100}")
