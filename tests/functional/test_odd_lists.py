"""One odd entry in a list of objects costs that entry: the other files of a directory arrive."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocihaul.client import Client
from ocihaul.endpoints import Origin
from ocihaul.events import AnyEvent, Notice
from ocihaul.http.client import HttpClient, ServiceCall
from ocihaul.transport.message import Answer
from tests.functional.directories import content, make, run
from tests.world import World, world

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Change], list[str]]:
    """Have the entry of one name changed in every list; returns the names that were met."""

    def begin(name: str, change: Change) -> list[str]:
        met: list[str] = []
        call = HttpClient.call

        def calling(self: HttpClient, origin: Origin, asked: ServiceCall) -> Answer:
            answer = call(self, origin, asked)
            if asked.operation != "ListObjects":
                return answer
            document = json.loads(answer.body)
            for entry in document["objects"]:
                if entry["name"] == name:
                    met.append(name)
                    change(entry)
            return replace(answer, body=json.dumps(document).encode())

        monkeypatch.setattr(HttpClient, "call", calling)
        return met

    return begin


def stored(w: World) -> None:
    for name in ("a", "b", "c"):
        w.oci.put_object("backups", name, name.encode())


def field(key: str, value: object) -> Change:
    return lambda entry: entry.update({key: value})


ODD = {
    "a negative size": field("size", -5),
    "a size that is a text": field("size", "1"),
    "a size beyond SQLite": field("size", 2**63),
    "a size that is a list": field("size", [1]),
    "an etag with a line break": field("etag", "a\r\nx: y"),
    "an etag with a tab": field("etag", "a\tb"),
    "an etag in Latin-1": field("etag", "é"),
    "an etag that is a number": field("etag", 5),
    "a time that is none": field("timeModified", "soon"),
    "a time that is an object": field("timeModified", {"x": 1}),
    "a time before all times": field("timeModified", "0001-01-01T00:00:00+14:00"),
    "an MD5 that is a number": field("md5", 5),
    "a state that is a list": field("archivalState", ["Archived"]),
}
NAMELESS = {
    "a lone surrogate": field("name", "b\ud800"),
    "a number": field("name", 5),
    "null": field("name", None),
    "nothing": lambda entry: entry.pop("name"),
}


@pytest.mark.parametrize("change", (ODD | NAMELESS).values(), ids=ODD | NAMELESS)
@pytest.mark.parametrize("how", ["bulk-download", "sync"])
def test_finding_a21_the_other_objects_of_a_directory_arrive(
    tmp_path: Path, listed: Callable[[str, Change], list[str]], change: Change, how: str
) -> None:
    with world(tmp_path) as w:
        stored(w)
        met = listed("b", change)
        flag = "--download-dir" if how == "bulk-download" else "--dest-dir"
        ran = run(w, how, flag, str(tmp_path / "dest"))
        assert met
        assert ran.code == 1
        assert content(tmp_path / "dest") == {"a": b"a", "c": b"c"}
        assert "entry in the list cannot be used" in ran.err + ran.out
        assert "should not happen" not in ran.err


@pytest.mark.parametrize("change", (ODD | NAMELESS).values(), ids=ODD | NAMELESS)
def test_finding_a21_no_file_is_deleted_for_an_object_that_cannot_be_read(
    tmp_path: Path, listed: Callable[[str, Change], list[str]], change: Change
) -> None:
    with world(tmp_path) as w:
        stored(w)
        dest = tmp_path / "dest"
        assert run(w, "sync", "--dest-dir", str(dest)).code == 0
        make(dest, "extra")
        met = listed("b", change)
        ran = run(w, "sync", "--dest-dir", str(dest), "--delete")
        assert met
        assert ran.code == 1
        assert (dest / "b").read_bytes() == b"b"
        # Where no name says whose entry it is, no file is known to have no object.
        assert (dest / "extra").exists() == (change in NAMELESS.values())


@pytest.mark.parametrize("change", (ODD | NAMELESS).values(), ids=ODD | NAMELESS)
def test_finding_a21_the_other_files_of_a_directory_are_sent(
    tmp_path: Path, listed: Callable[[str, Change], list[str]], change: Change
) -> None:
    with world(tmp_path) as w:
        stored(w)
        source = make(tmp_path / "source", "a/new", "b", "d")
        w.oci.put_object("backups", "e", b"without a file")
        met = listed("b", change)
        ran = run(w, "sync", "--src-dir", str(source), "--delete")
        assert met
        assert ran.code == 1
        names = w.oci.object_names("backups")
        assert "a/new" in names
        assert "d" in names
        assert "e" not in names
        assert "b" in names


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_finding_a21_an_odd_entry_of_a_plain_list_is_listed_by_its_name(
    tmp_path: Path, listed: Callable[[str, Change], list[str]], change: Change
) -> None:
    with world(tmp_path) as w:
        stored(w)
        met = listed("b", change)
        ran = run(w, "list")
        assert met
        assert ran.code == 0
        assert [each["name"] for each in ran.json["data"]] == ["a", "b", "c"]
        assert "Notice: b is listed by its name only: " in ran.err


@pytest.mark.parametrize("change", NAMELESS.values(), ids=NAMELESS)
def test_finding_a21_an_entry_without_a_name_is_left_out_of_a_plain_list(
    tmp_path: Path, listed: Callable[[str, Change], list[str]], change: Change
) -> None:
    with world(tmp_path) as w:
        stored(w)
        met = listed("b", change)
        ran = run(w, "list", "--all", "--stream-output")
        assert met
        assert ran.code == 0
        assert [each["name"] for each in ran.json["data"]] == ["a", "c"]
        assert "Notice: an entry of the list is left out: " in ran.err


@pytest.mark.parametrize("change", NAMELESS.values(), ids=NAMELESS)
def test_the_library_tells_of_an_entry_without_a_name(
    tmp_path: Path, listed: Callable[[str, Change], list[str]], change: Change
) -> None:
    with world(tmp_path) as w:
        stored(w)
        met = listed("b", change)
        heard: list[AnyEvent] = []
        with Client(w.settings()) as client:
            names = [each.name for each in client.list_objects("backups", listener=heard.append)]
        assert met
        assert names == ["a", "c"]
        (notice,) = [each.text for each in heard if isinstance(each, Notice)]
        assert notice.startswith("an entry of the list is left out: ")


def test_names_that_a_batch_does_not_speak_of_are_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, changed = HttpClient.call, []

    def calling(self: HttpClient, origin: Origin, asked: ServiceCall) -> Answer:
        answer = call(self, origin, asked)
        if asked.operation != "BatchDeleteObjects":
            return answer
        document = json.loads(answer.body)
        document["deleted"] = [{"objectName": "a"}, {"objectName": "elsewhere"}, {"objectName": 5}]
        changed.append(1)
        return replace(answer, body=json.dumps(document).encode())

    monkeypatch.setattr(HttpClient, "call", calling)
    with world(tmp_path) as w:
        stored(w)
        ran = run(w, "bulk-delete", "--force")
        assert changed == [1]
        assert ran.code == 1
        assert sorted(ran.json["delete-failures"]) == ["b", "c"]
        assert ran.json["deleted-objects"] == ["a"]
