"""The commands that change buckets, rules, tiers and versions: what they send, show and ask."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ocihaul.emulator import Emulator, Fault
from tests.unit.cli.conftest import Outcome

Run = Callable[..., Outcome]
COMPARTMENT = "ocid1.compartment.oc1..first"


def shown(outcome: Outcome) -> Any:
    """The JSON of a command that has succeeded."""
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


@pytest.fixture
def bucket(official_forms: Run) -> str:
    made = official_forms("bucket", "create", "--name", "plans", "-c", COMPARTMENT)
    assert shown(made)["data"]["name"] == "plans"
    return "plans"


def test_a_bucket_is_made_changed_and_removed(official_forms: Run, bucket: str) -> None:
    changed = shown(
        official_forms(
            "bucket", "update", "--name", bucket, "--metadata", '{"team": "a", "x": "y"}'
        )
    )
    assert changed["data"]["metadata"] == {"team": "a", "x": "y"}
    assert changed["etag"] == changed["data"]["etag"]
    fewer = official_forms("bucket", "update", "--name", bucket, "--metadata", '{"x": null}')
    assert shown(fewer)["data"]["metadata"] == {"team": "a"}
    gone = official_forms("bucket", "delete", "-bn", bucket, typed="y\n")
    assert (gone.code, gone.out) == (0, "")
    assert "Are you sure you want to delete this bucket? [y/N]:" in gone.err
    assert official_forms("bucket", "get", "-bn", bucket).code == 1


def test_a_bucket_is_kept_when_the_answer_is_no(official_forms: Run, bucket: str) -> None:
    kept = official_forms("bucket", "delete", "-bn", bucket, typed="n\n")
    assert kept.code == 1
    assert "Aborted!" in kept.err
    assert official_forms("bucket", "get", "-bn", bucket).code == 0


def test_a_bucket_is_kept_when_nothing_is_piped_in(official_forms: Run, bucket: str) -> None:
    kept = official_forms("bucket", "delete", "-bn", bucket)
    assert kept.code == 1
    assert "--force" in kept.err
    assert official_forms("bucket", "get", "-bn", bucket).code == 0


def test_a_deletion_whose_reply_was_lost_is_done(
    service: Emulator, official_forms: Run, bucket: str
) -> None:
    service.faults.add(Fault(operation="DeleteBucket", cut_before_answer=True))
    assert official_forms("bucket", "delete", "-bn", bucket, "--force").code == 0
    service.faults.assert_all_fired()
    assert service.log.count(operation="DeleteBucket", status=404) == 1


def test_emptying_deletes_versions_pars_and_uploads(official_forms: Run, tmp_path: Path) -> None:
    place = ("-bn", "plans")
    made = official_forms(
        "bucket", "create", "--name", "plans", "-c", COMPARTMENT, "--versioning", "Enabled"
    )
    assert shown(made)["data"]["versioning"] == "Enabled"
    file = tmp_path / "it"
    file.write_bytes(b"x")
    for _ in range(2):
        shown(official_forms("object", "put", *place, "--file", str(file), "--force"))
    par = ("--name", "p", "--access-type", "AnyObjectWrite", "--time-expires", "2099-01-31")
    shown(official_forms("preauth-request", "create", *place, *par))

    dry = shown(official_forms("bucket", "delete", *place, "--empty", "--dry-run"))
    assert len(dry["object"]["deleted-objects"]) == 2
    assert official_forms("bucket", "delete", *place, "--force").code == 1  # not empty

    outcome = shown(official_forms("bucket", "delete", *place, "--empty", "--force"))
    assert sorted(outcome) == [
        "multipart-upload",
        "object",
        "preauth-request",
        "replication-policy",
    ]
    assert outcome["object"] == dry["object"]
    assert all(name.startswith("it,") for name in outcome["object"]["deleted-objects"])
    assert outcome["preauth-request"]["deleted-objects"] == ["p"]
    assert official_forms("bucket", "get", *place).code == 1


def test_what_cannot_be_deleted_is_told_and_the_bucket_stays(
    service: Emulator, official_forms: Run, bucket: str
) -> None:
    for name in ("a", "b"):
        service.put_object(bucket, name, b"x")
    service.faults.add(Fault(operation="DeleteObject", status=403, code="NotAllowed"))
    outcome = official_forms(
        *("bucket", "delete", "-bn", bucket, "--empty", "--force"),
        *("--parallel-operations-count", "1"),
    )
    service.faults.assert_all_fired()
    assert outcome.code == 1
    told = json.loads(outcome.out)["object"]
    assert (list(told["delete-failures"]), told["deleted-objects"]) == (["a"], ["b"])
    assert official_forms("bucket", "get", "-bn", bucket).code == 0


def test_a_dry_run_without_empty_is_a_wrong_command_line(official_forms: Run) -> None:
    outcome = official_forms("bucket", "delete", "-bn", "b", "--dry-run")
    assert outcome.code == 2
    assert outcome.err.startswith("UsageError: The option --dry-run is applicable only when")


def test_versions_are_listed_and_deleted(official_forms: Run, tmp_path: Path) -> None:
    official_forms(
        "bucket", "create", "--name", "plans", "-c", COMPARTMENT, "--versioning", "Enabled"
    )
    file = tmp_path / "it"
    file.write_bytes(b"x")
    for name in ("a", "a", "b"):
        put = ("object", "put", "-bn", "plans", "--file", str(file), "--name", name, "--force")
        shown(official_forms(*put))
    listed = shown(official_forms("object", "list-object-versions", "-bn", "plans"))
    assert [each["name"] for each in listed["data"]] == ["a", "a", "b"]
    assert all(each["version-id"] and each["size"] == 1 for each in listed["data"])
    first = shown(official_forms("object", "list-object-versions", "-bn", "plans", "--limit", "1"))
    page = first["opc-next-page"]
    rest = shown(official_forms("object", "list-object-versions", "-bn", "plans", "--page", page))
    assert first["data"] + rest["data"] == listed["data"]

    asked = official_forms(
        "object", "bulk-delete-versions", "-bn", "plans", "--object-name", "a", typed="y\n"
    )
    assert "This command will delete at least 2 object versions" in asked.err
    assert len(shown(asked)["deleted-objects"]) == 2
    left = shown(official_forms("object", "list-object-versions", "-bn", "plans"))
    assert [each["name"] for each in left["data"]] == ["b"]
    none = official_forms("object", "bulk-delete-versions", "-bn", "plans", "--prefix", "z")
    assert (none.code, none.out) == (0, "")
    assert "There are no objects to delete in plans" in none.err


def test_a_lifecycle_policy_is_put_shown_and_removed(official_forms: Run, bucket: str) -> None:
    rule = {
        "name": "old",
        "action": "DELETE",
        "timeAmount": 30,
        "timeUnit": "DAYS",
        "isEnabled": True,
        "objectNameFilter": {"inclusionPrefixes": ["logs/"]},
    }
    put = ("object-lifecycle-policy", "put", "-bn", bucket, "--items", json.dumps([rule]))
    refused = official_forms(*put)
    assert refused.code == 1
    assert "WARNING: Updates to items will replace any existing values." in refused.err
    made = shown(official_forms(*put, "--force"))
    [kept] = made["data"]["items"]
    assert (kept["name"], kept["time-amount"], kept["time-unit"]) == ("old", 30, "DAYS")
    assert kept["object-name-filter"]["inclusion-prefixes"] == ["logs/"]
    assert kept["object-name-filter"]["exclusion-patterns"] is None
    found = shown(official_forms("object-lifecycle-policy", "get", "-bn", bucket))
    assert found["data"] == made["data"]
    assert official_forms("object-lifecycle-policy", "delete", "-bn", bucket, "--force").code == 0
    assert official_forms("object-lifecycle-policy", "get", "-bn", bucket).code == 1


def test_a_retention_rule_lives(official_forms: Run, bucket: str) -> None:
    made = shown(
        official_forms(
            *("retention-rule", "create", "-bn", bucket, "--display-name", "year"),
            *("--time-amount", "1", "--time-unit", "years"),
        )
    )["data"]
    assert made["duration"] == {"time-amount": 1, "time-unit": "YEARS"}
    where = ("-bn", bucket, "--retention-rule-id", made["id"])
    assert shown(official_forms("retention-rule", "get", *where))["data"] == made
    listed = shown(official_forms("retention-rule", "list", "-bn", bucket))
    assert [each["id"] for each in listed["data"]["items"]] == [made["id"]]
    endless = shown(official_forms("retention-rule", "update", *where, "--time-amount", ""))
    assert endless["data"]["duration"] is None
    assert official_forms("retention-rule", "delete", *where, "--force").code == 0
    assert official_forms("retention-rule", "get", *where).code == 1


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("create", "--time-amount", "1"), "--time-unit is required when --time-amount"),
        (("update", "--retention-rule-id", "r", "--time-amount", "x"), "is not a valid integer"),
    ],
)
def test_a_duration_that_cannot_be_is_refused(
    official_forms: Run, bucket: str, argv: tuple[str, ...], said: str
) -> None:
    outcome = official_forms("retention-rule", *argv, "-bn", bucket)
    assert outcome.code == 2
    assert said in outcome.err


def test_an_object_moves_to_another_tier(
    service: Emulator, official_forms: Run, bucket: str
) -> None:
    service.put_object(bucket, "it", b"x")
    moved = official_forms(
        *("object", "update-storage-tier", "-bn", bucket, "--object-name", "it"),
        *("--storage-tier", "InfrequentAccess"),
    )
    assert moved.code == 0
    head = shown(official_forms("object", "head", "-bn", bucket, "--name", "it"))
    assert head["storage-tier"] == "InfrequentAccess"


def test_a_batch_is_deleted_without_a_question(
    service: Emulator, official_forms: Run, bucket: str
) -> None:
    for name in ("a", "b"):
        service.put_object(bucket, name, b"x")
    wanted = json.dumps([{"objectName": "a"}, {"objectName": "b", "ifMatch": "another"}])
    told = shown(official_forms("object", "batch-delete", "-bn", bucket, "--objects", wanted))
    assert [each["object-name"] for each in told["data"]["deleted"]] == ["a"]
    assert [each["object-name"] for each in told["data"]["failed"]] == ["b"]
    assert service.object_names(bucket) == ["b"]


def test_namespace_metadata_is_set_and_shown(official_forms: Run) -> None:
    changed = shown(
        official_forms("ns", "update-metadata", "--default-s3-compartment-id", COMPARTMENT)
    )
    assert changed["data"]["default-s3-compartment-id"] == COMPARTMENT
    assert shown(official_forms("ns", "get-metadata"))["data"] == changed["data"]


def test_a_work_request_is_shown_and_listed(
    service: Emulator, official_forms: Run, bucket: str
) -> None:
    service.put_object(bucket, "it", b"x")
    copied = shown(
        official_forms(
            *("object", "copy", "-bn", bucket, "--source-object-name", "it"),
            *("--destination-bucket", "backups"),
        )
    )
    work = copied["opc-work-request-id"]
    found = shown(official_forms("work-request", "get", "--work-request-id", work))["data"]
    assert found["id"] == work
    assert found["operation-type"] == "COPY_OBJECT"


def test_our_name_of_a_request_is_sent(service: Emulator, official_forms: Run) -> None:
    assert official_forms("ns", "get", "--request-id", "mine-1").code == 0
    [entry] = service.log.entries()
    assert entry.headers.get("opc-client-request-id") == "mine-1"
    assert official_forms("ns", "get", "--request-id", "a\nb").code == 2
