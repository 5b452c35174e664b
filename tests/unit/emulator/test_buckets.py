"""Buckets, and the rules that are set on them."""

import base64
import hashlib
import http.client
import json
from typing import Any
from urllib.parse import quote

import pytest

from ocihaul.emulator import Emulator
from ocihaul.emulator.auth import TENANCY

from .client import Client

B = "/n/ns1/b"


def json_of(value: object) -> bytes:
    return json.dumps(value).encode()


def made(client: Client, name: str, **more: Any) -> dict[str, Any]:
    reply = client.post(B, {"name": name, "compartmentId": "mine", **more})
    assert reply.status == 200, reply
    value: dict[str, Any] = reply.json()
    return value


def test_a_bucket_is_what_was_asked_for(client: Client) -> None:
    asked = {
        "metadata": {"owner": "me"},
        "freeformTags": {"a": "1"},
        "definedTags": {"ns": {"b": "2"}},
        "publicAccessType": "ObjectRead",
        "objectEventsEnabled": True,
        "kmsKeyId": "key",
        "storageTier": "Archive",
        "versioning": "Enabled",
    }
    reply = client.post(B, {"name": "new", "compartmentId": "mine", **asked})
    assert reply.headers["location"].endswith("/n/ns1/b/new")
    assert {key: reply.json()[key] for key in asked} == asked
    assert client.call("GET", f"{B}/new?fields=autoTiering").json()["autoTiering"] == "Disabled"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "no spaces/please"}, "InvalidBucketName"),
        ({"name": "x" * 257}, "InvalidBucketName"),
        ({"storageTier": "InfrequentAccess"}, "InvalidParameter"),
        ({"versioning": "Suspended"}, "InvalidParameter"),
        ({"publicAccessType": "Everybody"}, "InvalidParameter"),
        ({"compartmentId": None}, "MissingCompartmentId"),
        ({"name": "backups"}, "BucketAlreadyExists"),
    ],
)
def test_a_bucket_that_cannot_be_is_refused(
    client: Client, change: dict[str, Any], code: str
) -> None:
    assert client.post(B, {"name": "new", "compartmentId": "mine", **change}).code == code


def test_an_update_changes_what_it_names(client: Client) -> None:
    old = made(client, "new", metadata={"a": "1", "b": "2"}, freeformTags={"t": "1"})
    changes = {
        "metadata": {"a": None, "c": "3"},
        "compartmentId": "other",
        "autoTiering": "InfrequentAccess",
    }
    wrong = client.post(f"{B}/new", changes, {"if-match": "other"})
    assert (wrong.status, wrong.code) == (412, "IfMatchFailed")
    reply = client.post(f"{B}/new", changes, {"if-match": old["etag"]})
    new = reply.json()
    assert new["metadata"] == {"b": "2", "c": "3"}
    assert (new["freeformTags"], new["compartmentId"]) == ({"t": "1"}, "other")
    assert new["autoTiering"] == "InfrequentAccess"
    assert new["etag"] == reply.headers["etag"] != old["etag"]
    assert client.post(f"{B}/new", {"name": "renamed"}).status == 400
    assert client.call("GET", f"{B}?compartmentId=mine").json() == []
    (listed,) = client.call("GET", f"{B}?compartmentId=other&fields=tags").json()
    assert listed["freeformTags"] == {"t": "1"}


def test_only_an_empty_bucket_goes(oci: Emulator, client: Client) -> None:
    etag = made(client, "new")["etag"]
    client.bucket = "new"
    client.put("it", b"data")
    refused = client.call("DELETE", f"{B}/new")
    assert (refused.status, refused.code) == (409, "BucketNotEmpty")
    client.call("DELETE", client.path("o", "it"))
    upload = client.create("it")
    assert "multipart" in client.call("DELETE", f"{B}/new").json()["message"]
    client.call("DELETE", f"{client.path('u', 'it')}?uploadId={upload}")
    refused = client.call("DELETE", f"{B}/new", None, {"if-match": "other"})
    assert refused.json()["message"] == "FAILED_PRECONDITION: The current entity tag did not match"
    assert client.call("DELETE", f"{B}/new", None, {"if-match": etag}).status == 204
    assert client.call("DELETE", f"{B}/new").code == "BucketNotFound"


def test_buckets_come_in_pages_of_25(oci: Emulator, client: Client) -> None:
    for number in range(29):
        oci.create_bucket(f"b{number:02}")
    first = client.call("GET", f"{B}?compartmentId={TENANCY}")
    token = first.headers["opc-next-page"]
    assert token.startswith("1:")
    assert token.endswith("==")
    second = client.call("GET", f"{B}?compartmentId={TENANCY}&page={quote(token, safe='')}")
    assert [len(first.json()), len(second.json())] == [25, 5]
    assert "opc-next-page" not in second.headers


def test_a_lifecycle_policy_is_put_and_taken_away(client: Client) -> None:
    target = client.path("l")
    assert client.call("GET", target).code == "LifecyclePolicyNotFound"
    rule = {
        "name": "old",
        "action": "DELETE",
        "timeAmount": 3,
        "timeUnit": "DAYS",
        "isEnabled": True,
        "target": "multipart-uploads",
        "objectNameFilter": {"inclusionPrefixes": ["x"]},
    }
    put = client.call("PUT", target, json_of({"items": [rule]}))
    assert put.json()["items"] == [rule]
    assert client.call("GET", target).headers["etag"] == put.headers["etag"]
    for wrong in ({**rule, "action": "BURN"}, {**rule, "timeUnit": "WEEKS"}, {"name": "x"}):
        assert client.call("PUT", target, json_of({"items": [wrong]})).status == 400
    twice = client.call("PUT", target, json_of({"items": []}), {"if-none-match": "*"})
    assert twice.code == "IfNoneMatchFailed"
    assert client.call("DELETE", target).status == 204
    assert client.call("DELETE", target).status == 404


def test_a_retention_rule_holds_objects(oci: Emulator, client: Client) -> None:
    client.put("it", b"data")
    target = client.path("retentionRules")
    rule = client.post(target, {"duration": {"timeAmount": 1, "timeUnit": "DAYS"}}).json()
    assert rule["displayName"].startswith("RetentionRule2")
    for reply in (
        client.put("it", b"other"),
        client.call("DELETE", client.path("o", "it")),
        client.post(client.path("actions/renameObject"), {"sourceName": "it", "newName": "x"}),
    ):
        assert (reply.status, reply.code) == (403, "RetentionRuleViolation")
    batch = {"objects": [{"objectName": "it"}]}
    told = client.post(client.path("actions/batchDeleteObjects"), batch).json()
    assert [each["statusCode"] for each in told["failed"]] == [403]
    upload = client.create("it")
    part = client.part("it", upload, 1, b"new").headers["etag"]
    assert client.commit("it", upload, {1: part}).code == "RetentionRuleViolation"
    assert oci.read_object("backups", "it") == b"data"
    oci.configure(clock_offset=86401.0, max_skew=1e6, token_ttl=1e6, session_ttl=1e6)
    client.session = oci.login()
    assert client.put("it", b"other").status == 200
    one = f"{target}/{rule['id']}"
    forever = client.call("PUT", one, json_of({"duration": None}))
    assert forever.json()["duration"] is None
    assert client.call("DELETE", client.path("o", "it")).status == 403
    assert client.call("DELETE", one, None, {"if-match": rule["etag"]}).status == 412
    assert client.call("DELETE", one).status == 204
    assert client.call("DELETE", client.path("o", "it")).status == 204
    assert client.call("GET", target).json() == {"items": []}


def test_a_locked_rule_stays(oci: Emulator, client: Client) -> None:
    target = client.path("retentionRules")
    days = {"timeAmount": 5, "timeUnit": "DAYS"}
    soon = {"duration": days, "timeRuleLocked": "2001-01-01T00:00:00Z"}
    assert client.post(target, soon).code == "InvalidRetentionRuleDetails"
    locked = {"duration": days, "timeRuleLocked": "2100-01-01T00:00:00Z"}
    rule = client.post(target, locked).json()
    assert rule["timeRuleLocked"] == "2100-01-01T00:00:00Z"
    one = f"{target}/{rule['id']}"
    assert client.call("PUT", one, json_of({"duration": None})).status == 400
    oci.configure(clock_offset=86400.0 * 366 * 100, max_skew=1e12, token_ttl=1e6, session_ttl=1e6)
    client.session = oci.login()
    less = {"duration": {"timeAmount": 4, "timeUnit": "DAYS"}}
    assert client.call("PUT", one, json_of(less)).code == "InvalidRetentionRuleDetails"
    more = {"duration": {"timeAmount": 1, "timeUnit": "YEARS"}}
    assert client.call("PUT", one, json_of(more)).status == 200
    assert client.call("DELETE", one).status == 409


def test_a_replication_policy_keeps_its_bucket(oci: Emulator, client: Client) -> None:
    oci.create_bucket("copy")
    target = client.path("replicationPolicies")
    asked = {"name": "p", "destinationRegionName": "r", "destinationBucketName": "copy"}
    assert client.post(target, {**asked, "destinationBucketName": "none"}).status == 404
    policy = client.post(target, asked).json()
    assert client.post(target, asked).code == "ReplicationPolicyConflict"
    assert client.call("GET", f"{target}/{policy['id']}").json() == policy
    assert client.call("DELETE", f"{B}/backups").code == "BucketReplicationEnabled"
    assert client.call("GET", f"{B}/backups").json()["replicationEnabled"] is True
    assert client.call("GET", f"{B}/copy").json()["isReadOnly"] is True
    client.bucket = "copy"
    (source,) = client.call("GET", client.path("replicationSources")).json()
    assert source["sourceBucketName"] == "backups"
    assert client.call("POST", client.path("actions/makeBucketWritable"), b"").status == 204
    assert client.call("GET", f"{B}/copy").json()["isReadOnly"] is False
    assert client.call("GET", target).json() == []


def test_a_replication_brings_what_changes_after_its_policy(oci: Emulator, client: Client) -> None:
    oci.configure(replication_seconds=0.0)
    oci.create_bucket("copy")
    client.put("before", b"not brought")
    asked = {"name": "p", "destinationRegionName": "r", "destinationBucketName": "copy"}
    policies = client.path("replicationPolicies")
    assert client.post(policies, asked).json()["timeLastSync"] is None
    put = client.put("day/1", b"one", **{"opc-meta-origin": "rack 7"})
    client.put("day/2", b"two")
    client.put("day/2", b"two again")

    assert oci.object_names("copy") == ["day/1", "day/2"]
    assert oci.read_object("copy", "day/2") == b"two again"
    (policy,) = client.call("GET", policies).json()
    assert policy["timeLastSync"] is not None
    brought = client.call("HEAD", f"{B}/copy/o/day/1").headers
    assert brought["etag"] == put.headers["etag"]
    assert brought["opc-meta-origin"] == "rack 7"

    assert client.call("DELETE", f"{B}/backups/o/day/1").status == 204
    assert oci.object_names("copy") == ["day/2"]
    # What the policy has brought stays when it goes, and nothing follows it.
    assert client.call("DELETE", f"{policies}/{policy['id']}").status == 204
    assert client.call("DELETE", f"{B}/backups/o/day/2").status == 204
    assert oci.object_names("copy") == ["day/2"]
    assert oci.read_object("copy", "day/2") == b"two again"


def test_a_replication_takes_its_time(oci: Emulator, client: Client) -> None:
    oci.configure(replication_seconds=60.0)
    oci.create_bucket("copy")
    asked = {"name": "p", "destinationRegionName": "r", "destinationBucketName": "copy"}
    client.post(client.path("replicationPolicies"), asked)
    client.put("late", b"x")
    assert oci.object_names("copy") == []
    oci.configure(clock_offset=61.0)
    assert oci.object_names("copy") == ["late"]


def test_the_namespace_has_default_compartments(client: Client) -> None:
    assert client.call("GET", "/n/ns1").json()["defaultS3CompartmentId"] == TENANCY
    changed = client.call("PUT", "/n/ns1", json_of({"defaultS3CompartmentId": "other"}))
    assert changed.json() == {
        "namespace": "ns1",
        "defaultS3CompartmentId": "other",
        "defaultSwiftCompartmentId": TENANCY,
    }
    assert client.call("GET", "/n/ns2").status == 404


def test_an_object_moves_between_tiers_and_keys(oci: Emulator, client: Client) -> None:
    oci.put_object("backups", "it", b"data")
    tier = client.path("actions/updateObjectStorageTier")
    assert client.post(tier, {"objectName": "it", "storageTier": "InfrequentAccess"}).status == 200
    assert client.head("it").headers["storage-tier"] == "InfrequentAccess"
    key = bytes(range(32))
    given = {
        "algorithm": "AES256",
        "key": base64.b64encode(key).decode(),
        "keySha256": base64.b64encode(hashlib.sha256(key).digest()).decode(),
    }
    reencrypt = client.path("actions/reencrypt")
    assert client.post(f"{reencrypt}/it", {"sseCustomerKey": given}).status == 200
    assert client.get("it").code == "MissingSSECustomerKey"
    assert client.post(f"{reencrypt}/it", {"kmsKeyId": "k"}).status == 400
    back = client.post(f"{reencrypt}/it", {"sourceSseCustomerKey": given, "kmsKeyId": "k"})
    assert back.status == 200
    assert oci.object_info("backups", "it").kms_key_id == "k"
    oci.configure(copy_seconds=0.0)
    work = client.call("POST", reencrypt, b"").headers["opc-work-request-id"]
    document = client.call("GET", f"/workRequests/{work}").json()
    assert (document["operationType"], document["status"]) == ("REENCRYPT", "COMPLETED")
    assert oci.object_info("backups", "it").kms_key_id is None
    assert client.post(tier, {"objectName": "it", "storageTier": "Archive"}).status == 200
    assert client.post(tier, {"objectName": "it", "storageTier": "Standard"}).code == "NotRestored"


def test_work_can_be_listed_followed_and_given_up(oci: Emulator, client: Client) -> None:
    oci.configure(copy_seconds=60.0)
    oci.put_object("backups", "it", b"data")
    body = {
        "sourceObjectName": "it",
        "destinationRegion": "r",
        "destinationNamespace": "ns1",
        "destinationBucket": "backups",
        "destinationObjectName": "copy",
    }
    work = client.post(client.path("actions/copyObject"), body).headers["opc-work-request-id"]
    (listed,) = client.call("GET", f"/workRequests?compartmentId={TENANCY}").json()
    assert (listed["id"], listed["status"]) == (work, "IN_PROGRESS")
    assert len(client.call("GET", f"/workRequests/{work}/logs").json()) == 1
    assert client.call("DELETE", f"/workRequests/{work}").status == 202
    assert client.call("DELETE", f"/workRequests/{work}").status == 409
    assert client.call("GET", f"/workRequests/{work}").json()["status"] == "CANCELED"
    oci.configure(clock_offset=61.0)
    assert oci.object_names("backups") == ["it"]
    assert client.put("it", b"other").status == 200


def test_names_have_limits(client: Client) -> None:
    assert client.put("x" * 1024, b"").status == 200
    assert client.put("x" * 1025, b"").code == "InvalidObjectName"
    assert client.put("a\0b", b"").code == "InvalidObjectName"
    assert client.post(client.path("u"), {"object": "é" * 513}).code == "InvalidObjectName"


def test_all_values_of_a_parameter_count(client: Client) -> None:
    client.put("it", b"data")
    (once,) = client.call("GET", client.path("o") + "?fields=size&fields=etag").json()["objects"]
    assert set(once) == {"name", "size", "etag"}
    (bare,) = client.call("GET", client.path("o") + "?fields=").json()["objects"]
    assert bare == {"name": "it"}


def test_finding_e01_names_of_signed_headers_have_no_case(client: Client) -> None:
    signed = ("date", "(request-target)", "host", "content-length", "content-type")
    body = json_of({"object": "it"})
    sent = client.head_of("POST", client.path("u"), body, {}, (*signed, "x-content-sha256"))
    sent["authorization"] = sent["authorization"].replace("content-", "Content-", 2)
    assert 'Content-length Content-type x-content-sha256"' in sent["authorization"]
    assert client.exchange("POST", client.path("u"), body, sent).status == 200


@pytest.mark.parametrize(
    ("access", "shown"),
    [
        ("NoPublicAccess", []),
        ("ObjectReadWithoutList", ["GET o/x", "HEAD o/x"]),
        ("ObjectRead", ["GET o/x", "HEAD o/x", "GET o"]),
    ],
)
def test_what_a_bucket_shows_to_everybody(
    oci: Emulator, client: Client, access: str, shown: list[str]
) -> None:
    client.put("x", b"seen by all")
    assert client.post(f"{B}/backups", {"publicAccessType": access}).status == 200
    asked = ["GET o/x", "HEAD o/x", "GET o", "PUT o/x", "DELETE o/x", "GET u", "GET p"]
    answered = []
    for each in asked:
        method, _, path = each.partition(" ")
        connection = http.client.HTTPConnection(oci.endpoint.removeprefix("http://"), timeout=30)
        connection.request(method, f"{B}/backups/{path}", b"new" if method == "PUT" else None)
        status = connection.getresponse().status
        connection.close()
        assert status in {200, 401}
        answered += [each] if status == 200 else []
    assert answered == shown
    assert oci.read_object("backups", "x") == b"seen by all"


def test_an_empty_checksum_algorithm_is_none(oci: Emulator, client: Client) -> None:
    assert client.put("x", b"as the Go SDK", **{"opc-checksum-algorithm": ""}).status == 200
    assert client.put("y", b"no", **{"opc-checksum-algorithm": "CRC31"}).status == 400
    assert oci.object_names("backups") == ["x"]
