"""Entries of lists that cannot be used: each is told, and none is taken for another thing."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocihaul.cli import app
from ocihaul.cli.objects.official_json import work_request_summary
from ocihaul.emulator import Emulator, Fault
from ocihaul.endpoints import Origin
from ocihaul.http.client import HttpClient, ServiceCall
from ocihaul.transport.message import Answer
from tests.unit.cli.conftest import Outcome

Run = Callable[..., Outcome]
Shell = Callable[..., Outcome]
Change = Callable[[str, Callable[[Any], object]], list[Any]]
BUCKET = "plans"
COMPARTMENT = "ocid1.compartment.oc1..first"


@pytest.fixture
def versioned(official_forms: Run) -> Run:
    made = official_forms(
        *("bucket", "create", "--name", BUCKET, "-c", COMPARTMENT, "--versioning", "Enabled")
    )
    assert made.code == 0, made.err
    return official_forms


@pytest.fixture
def shell(service: Emulator, home: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Run `ls`, `du`, `cp` or `rm`."""
    config = service.write_profile(home / "oci")

    def command(*argv: str) -> Outcome:
        place = ["--config-file", str(config), "--auth", "security_token"]
        place += ["--endpoint", service.endpoint, "--auth-endpoint", service.endpoint]
        code = app.run([*argv, *place])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch) -> Change:
    """Have the documents of one operation changed; returns those that were."""

    def begin(operation: str, edit: Callable[[Any], object]) -> list[Any]:
        met: list[Any] = []
        call = HttpClient.call

        def calling(self: HttpClient, origin: Origin, asked: ServiceCall) -> Answer:
            answer = call(self, origin, asked)
            if asked.operation != operation:
                return answer
            document = json.loads(answer.body)
            edit(document)
            met.append(document)
            return replace(answer, body=json.dumps(document).encode())

        monkeypatch.setattr(HttpClient, "call", calling)
        return met

    return begin


def first_of(key: str, **fields: object) -> Callable[[dict[str, Any]], object]:
    """Change the first entry, once."""
    left = [fields]

    def edit(document: dict[str, Any]) -> None:
        if left and document.get(key):
            document[key][0].update(left.pop())

    return edit


@pytest.mark.parametrize("fields", [{"versionId": None}, {"versionId": 7}, {"etag": "a\nb"}])
def test_a_version_without_a_usable_id_gets_no_delete_marker(
    service: Emulator, versioned: Run, change: Change, fields: dict[str, object]
) -> None:
    """DeleteObject without a version hides the object, and is no deletion of a version."""
    service.put_object(BUCKET, "a", b"1")
    service.put_object(BUCKET, "b", b"2")
    met = change("ListObjectVersions", first_of("items", **fields))
    ran = versioned("object", "bulk-delete-versions", "-bn", BUCKET, "--force")
    assert met
    told = json.loads(ran.out)
    assert ran.code == 1
    ((name, reason),) = told["delete-failures"].items()
    assert name.startswith("a,")
    assert reason.startswith("its entry in the list cannot be used: ")
    assert [each.partition(",")[0] for each in told["deleted-objects"]] == ["b"]
    assert service.log.count(operation="DeleteObject") == 1
    assert service.object_names(BUCKET) == ["a"]


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_an_entry_without_a_name_is_a_failure_of_the_deletion(
    service: Emulator, versioned: Run, change: Change, dry: tuple[str, ...]
) -> None:
    service.put_object(BUCKET, "a", b"1")
    service.put_object(BUCKET, "b", b"2")
    change("ListObjectVersions", first_of("items", name=["no name"]))
    ran = versioned("object", "bulk-delete-versions", "-bn", BUCKET, "--force", *dry)
    told = json.loads(ran.out)
    assert list(told["delete-failures"]) == ["(entry without a usable name: 1)"]
    assert [each.partition(",")[0] for each in told["deleted-objects"]] == ["b"]
    assert ran.code == 1


def test_a_bucket_with_an_entry_without_a_name_is_not_called_empty(
    service: Emulator, official_forms: Run, change: Change
) -> None:
    official_forms("bucket", "create", "--name", BUCKET, "-c", COMPARTMENT)
    service.put_object(BUCKET, "a", b"1")
    change("ListObjects", first_of("objects", name=None))
    ran = official_forms("bucket", "delete", "-bn", BUCKET, "--empty", "--force")
    assert ran.code == 1
    assert "(entry without a usable name: 1)" in ran.out
    assert service.log.count(operation="DeleteBucket") == 0


def test_a_policy_without_an_id_is_not_deleted_by_none(
    service: Emulator, official_forms: Run, change: Change
) -> None:
    official_forms("bucket", "create", "--name", BUCKET, "-c", COMPARTMENT)
    met = change("ListReplicationPolicies", lambda listed: listed.append({"name": "p", "id": None}))
    ran = official_forms("bucket", "delete", "-bn", BUCKET, "--empty", "--force")
    assert met
    assert ran.code == 1, ran.err
    failures = json.loads(ran.out)["replication-policy"]["delete-failures"]
    assert failures == {"p": "its entry in the list cannot be used: id is missing"}
    assert service.log.count(operation="DeleteReplicationPolicy") == 0


def test_a_version_of_which_only_the_name_can_be_read_is_told(
    service: Emulator, versioned: Run, change: Change
) -> None:
    service.put_object(BUCKET, "a", b"1")
    change("ListObjectVersions", first_of("items", size=-3))
    ran = versioned("object", "list-object-versions", "-bn", BUCKET)
    assert ran.code == 0
    assert "Notice: a is listed by its name only: size is -3" in ran.err


def test_an_error_that_concerns_all_ends_the_deletion(service: Emulator, versioned: Run) -> None:
    for number in range(9):
        service.put_object(BUCKET, f"n{number}", b"x")
    service.faults.add(
        Fault(operation="DeleteObject", status=404, code="BucketNotFound", times=100)
    )
    ran = versioned(
        *("object", "bulk-delete-versions", "-bn", BUCKET, "--force"),
        *("--parallel-operations-count", "2"),
    )
    assert ran.code == 1
    assert "BucketNotFound" in ran.err
    assert service.log.count(operation="DeleteObject") <= 2


def test_versions_are_deleted_with_the_threads_that_there_may_be(
    service: Emulator, versioned: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        service.put_object(BUCKET, f"n{number}", b"x")
    really, refused = threading.Thread.start, []

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith(("ocihaul-delete", "ThreadPoolExecutor")):
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        really(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    ran = versioned("object", "bulk-delete-versions", "-bn", BUCKET, "--force")
    assert len(refused) == 1
    assert (ran.code, len(json.loads(ran.out)["deleted-objects"])) == (0, 5), ran.err


def test_what_ls_and_du_cannot_show_is_told(
    service: Emulator, official_forms: Run, shell: Shell, change: Change
) -> None:
    official_forms("bucket", "create", "--name", BUCKET, "-c", COMPARTMENT)
    for name in ("d/a", "d/b", "d/c"):
        service.put_object(BUCKET, name, b"12345")

    def edit(document: dict[str, Any]) -> None:
        if len(document["objects"]) == 3:
            document["objects"][0]["name"] = 5
            document["objects"][1]["size"] = "much"

    assert change("ListObjects", edit) == []
    for more in ((), ("-R",)):
        listed = shell("ls", f"oci://{BUCKET}/d/", *more)
        assert (listed.code, listed.out.split()) == (0, ["b", "c"])
        assert "Notice: an entry of the list is left out: name is " in listed.err
    used = shell("du", "-s", f"oci://{BUCKET}/d/")
    assert used.out.split() == ["5", f"oci://{BUCKET}/d/"]
    assert "Notice: an entry of the list is left out: name is " in used.err
    assert "Notice: d/b is not counted: its size is not told" in used.err


def test_a_copy_of_a_prefix_with_an_entry_without_a_name_has_failed(
    service: Emulator, official_forms: Run, shell: Shell, change: Change
) -> None:
    official_forms("bucket", "create", "--name", BUCKET, "-c", COMPARTMENT)
    for name in ("d/a", "d/b"):
        service.put_object(BUCKET, name, b"12345")

    def edit(document: dict[str, Any]) -> None:
        if len(document["objects"]) == 2:
            document["objects"][0]["name"] = None

    change("ListObjects", edit)
    ran = shell(
        *("cp", "-r", f"oci://{BUCKET}/d/", f"oci://{BUCKET}/e/"), *("--region", "us-ashburn-1")
    )
    assert ran.code == 1, ran.err
    assert "failed: an entry of the list cannot be copied: name is " in ran.err
    assert "1 of 2 failed; the others are done." in ran.err
    assert service.object_names(BUCKET) == ["d/a", "d/b", "e/b"]


def test_what_is_behind_an_empty_page_is_there(
    service: Emulator, official_forms: Run, shell: Shell, change: Change
) -> None:
    official_forms("bucket", "create", "--name", BUCKET, "-c", COMPARTMENT)
    service.put_object(BUCKET, "d/a", b"12345")
    due: list[str] = []

    def edit(document: dict[str, Any]) -> None:
        if due and document["objects"]:
            document.update(objects=[], nextStartWith=due.pop())

    change("ListObjects", edit)
    for uri in (f"oci://{BUCKET}/d/a", f"oci://{BUCKET}/d/"):
        due.append("d/a")
        listed = shell("ls", uri)
        assert (listed.code, listed.out) == (0, "a\n"), listed.err
        assert due == []


def test_resources_that_are_none_cost_themselves() -> None:
    odd: list[object] = ["x", None, [1], {"entityType": "object"}]
    (one,) = work_request_summary({"id": "w", "resources": odd})["resources"]
    assert one["entity-type"] == "object"
    assert work_request_summary({"resources": "x"})["resources"] == []


def test_a_copy_whose_answer_names_no_work_request_is_an_error(
    service: Emulator, official_forms: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = official_forms("bucket", "create", "--name", BUCKET, "-c", COMPARTMENT)
    assert made.code == 0, made.err
    service.put_object(BUCKET, "a", b"1")
    asked: list[str] = []
    call = HttpClient.call

    def calling(self: HttpClient, origin: Origin, given: ServiceCall) -> Answer:
        answer = call(self, origin, given)
        asked.append(given.operation)
        if given.operation != "CopyObject":
            return answer
        headers = {k: v for k, v in answer.headers.items() if k != "opc-work-request-id"}
        return replace(answer, headers=headers)

    monkeypatch.setattr(HttpClient, "call", calling)
    ran = official_forms(
        *("object", "copy", "-bn", BUCKET, "--source-object-name", "a"),
        *("--destination-bucket", BUCKET, "--destination-object-name", "b"),
        *("--wait-for-state", "COMPLETED"),
    )
    assert (ran.code, "names no work request" in ran.err) == (1, True), ran.err
    assert "CopyObject" in asked
    assert "GetWorkRequest" not in asked
