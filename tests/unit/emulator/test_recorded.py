"""Each kind of exchange that was recorded with the real service, asked of the emulator.

`recorded.json` has the facts (`python -m tools.recorded_facts CHECKOUT`). Compared are status,
names of headers, keys and types of the JSON, code and message.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from ocihaul.emulator import Emulator
from ocihaul.emulator.auth import TENANCY
from tools.recorded_facts import shape_of_json

from .client import Client, Reply

FACTS = json.loads((Path(__file__).parent / "recorded.json").read_text(encoding="utf-8"))
KINDS: list[dict[str, Any]] = FACTS["kinds"]
#: Keys that the service has now and did not have in 2023: the current SDK knows them.
NEWER = {("POST", "/n/{namespace}/b/{bucket}/p"): {"fullPath"}}
#: What is in an answer, or is not, by what the request brings or the list needs.
INCIDENTAL = {"opc-client-request-id"}
ALL = "name,size,etag,md5,timeCreated,timeModified,storageTier"


def identity(kind: dict[str, Any]) -> str:
    """A name for one kind that says what it is."""
    query = ",".join(kind.get("query", []))
    parts = [kind["method"], kind["path"], query, *kind.get("sent", []), str(kind["status"])]
    return " ".join([*parts, kind.get("code", ""), kind.get("message", "")[:30]]).strip()


class World:
    """A bucket with something of everything, and how to ask for each kind."""

    def __init__(self, oci: Emulator, client: Client) -> None:
        self.oci, self.client = oci, client
        self.bucket = "/n/ns1/b/backups"
        self.name = "name"
        for number in range(60):
            oci.create_bucket(f"bucket-{number:02}")

    def fill(self) -> None:
        for name in ("a/1", "a/2", "b/1", "name"):
            self.client.put(name, name.encode())

    def rule(self, duration: dict[str, Any] | None, **more: str) -> str:
        body = {**({} if duration is None else {"duration": duration}), **more}
        reply = self.client.post(f"{self.bucket}/retentionRules", body)
        assert reply.status == 200, reply
        return str(reply.json()["id"])

    def par(self) -> Reply:
        body = {"name": "p", "accessType": "AnyObjectWrite", "timeExpires": "2100-01-01T00:00:00Z"}
        return self.client.post(f"{self.bucket}/p", body)

    def replicate(self) -> Reply:
        body = {
            "name": "p",
            "destinationRegionName": "r",
            "destinationBucketName": "bucket-00",
        }
        return self.client.post(f"{self.bucket}/replicationPolicies", body)

    def next_page(self, target: str) -> str:
        return self.client.call("GET", target).headers["opc-next-page"]


def prepare(world: World, kind: dict[str, Any]) -> tuple[str, Any, dict[str, str]]:
    """Target without a query, body and headers of a request of this kind."""
    path = kind["path"].replace("{namespace}", "ns1").replace("{bucket}", "backups")
    headers: dict[str, str] = {}
    body: Any = None
    area = kind["path"].removeprefix("/n/{namespace}/b/{bucket}")
    etag = world.client.call("GET", world.bucket).headers["etag"]
    if kind.get("sent"):
        (name,) = kind["sent"]
        good = (kind["status"] in (200, 204)) == (name == "if-match")
        headers[name] = etag if good else "other"
    if area in PREPARE:
        path, body = PREPARE[area](world, kind, path)
    return path, body, headers


Prepared = tuple[str, Any]


def _bucket(world: World, kind: dict[str, Any], path: str) -> Prepared:
    if kind.get("code") == "BucketReplicationEnabled":
        world.replicate()
    if kind.get("code") == "BucketNotFound":
        path = path.replace("backups", "missing")
    body = {"name": "backups", "compartmentId": "other"} if kind["method"] == "POST" else None
    return path, body


def _buckets(_world: World, kind: dict[str, Any], path: str) -> Prepared:
    return path, {"name": "new", "compartmentId": "c"} if kind["method"] == "POST" else None


def _object(world: World, kind: dict[str, Any], path: str) -> Prepared:
    world.fill()
    return path.replace("{name}", "name"), b"data" if kind["method"] == "PUT" else None


def _objects(world: World, kind: dict[str, Any], path: str) -> Prepared:
    if kind.get("code") == "BucketNotFound":
        path = path.replace("backups", "missing")
    world.fill()
    return path, None


def _pars(world: World, kind: dict[str, Any], path: str) -> Prepared:
    if kind["method"] == "POST":
        body = {"name": "p", "accessType": "AnyObjectWrite", "timeExpires": "2100-01-01T00:00:00Z"}
        return path, body
    made = [world.par().json()["id"] for _ in range(3)]
    assert all("/" in each and "+" in each and len(each) == 64 for each in made)
    return path.replace("{name}", quote(made[0])), None


def _replication(world: World, kind: dict[str, Any], path: str) -> Prepared:
    if kind["method"] == "POST" and kind["status"] == 200:
        body = {"name": "p", "destinationRegionName": "r", "destinationBucketName": "bucket-00"}
        return path, body
    made = world.replicate().json()
    del made["id"], made["timeCreated"]
    policy = world.client.call("GET", f"{world.bucket}/replicationPolicies").json()[0]["id"]
    return path.replace("{name}", policy), made if kind["method"] == "POST" else None


def _retention(world: World, kind: dict[str, Any], path: str) -> Prepared:
    days = {"timeAmount": 1, "timeUnit": "DAYS"}
    if kind["method"] == "POST":
        return path, {"duration": days}
    rule = world.rule(days, timeRuleLocked="2100-01-01T00:00:00Z")
    body: Any = {"duration": {"timeAmount": 2, "timeUnit": "DAYS"}}
    if "14 days" in kind.get("message", ""):
        body = {"timeRuleLocked": "1970-01-01T00:20:34.000000Z"}
    elif "unless a duration" in kind.get("message", ""):
        body = {"duration": None}
    return path.replace("{name}", rule), body if kind["method"] == "PUT" else None


def _retention_list(world: World, kind: dict[str, Any], path: str) -> Prepared:
    if kind["method"] == "GET":
        world.rule(None)
        world.rule({"timeAmount": 1, "timeUnit": "DAYS"})
        return path, None
    return path, {"duration": {"timeAmount": 1, "timeUnit": "DAYS"}}


def _upload(_world: World, _kind: dict[str, Any], path: str) -> Prepared:
    return path.replace("{name}", "name"), None


PREPARE: dict[str, Callable[[World, dict[str, Any], str], Prepared]] = {
    "": _bucket,
    "/n/{namespace}/b": _buckets,
    "/o/{name}": _object,
    "/o": _objects,
    "/objectversions": _objects,
    "/p": _pars,
    "/p/{name}": _pars,
    "/replicationPolicies": _replication,
    "/replicationPolicies/{name}": _replication,
    "/retentionRules": _retention_list,
    "/retentionRules/{name}": _retention,
    "/u/{name}": _upload,
}


def query_of(world: World, kind: dict[str, Any], path: str) -> str:
    """The parameters of the kind; pages are made short where there has to be another one."""
    names = kind.get("query", [])
    more = "opc-next-page" in kind.get("headers", []) or "nextStartWith" in (kind.get("body") or {})
    few = "1" if more else "1000"
    values = {
        "compartmentId": TENANCY,
        "limit": few,
        "prefix": "a/" if "delimiter" not in names else "a",
        "delimiter": "/",
        "start": "a",
        "end": "z",
        "uploadId": "none",
        "fields": "tags" if path.endswith("/b") else ALL,
    }
    if names == ["versionId"]:
        versions = world.client.call("GET", f"{world.bucket}/objectversions?prefix=name").json()
        values["versionId"] = versions["items"][0]["versionId"]
    chosen = {name: values[name] for name in names if name != "page"}
    if "page" in names:
        first = urlencode({**chosen, **({"limit": "1"} if "limit" in names else {})})
        chosen["page"] = world.next_page(f"{path}?{first}")
    return f"?{urlencode(chosen)}" if chosen else ""


def differences(recorded: Any, actual: Any, where: str = "") -> Iterator[str]:
    """What the shapes do not have in common; a list that was always empty says nothing."""
    if recorded is None:
        return
    if isinstance(actual, list):
        types = recorded if isinstance(recorded, list) else recorded.get("|", recorded.get("|?"))
        if not set(actual) <= set(types or []):
            yield f"{where}: {actual}, recorded {recorded}"
    elif isinstance(recorded, list):
        yield f"{where}: an object or list, recorded {recorded}"
    elif "[]" in recorded:
        if actual.get("[]") is not None:
            yield from differences(recorded["[]"], actual["[]"], f"{where}[]")
    else:
        yield from _different_keys(recorded, actual, where)


def _different_keys(recorded: dict[str, Any], actual: dict[str, Any], where: str) -> Iterator[str]:
    names = {name.rstrip("?"): name.endswith("?") for name in recorded if name.strip("?") != "|"}
    found = {name.rstrip("?"): shape for name, shape in actual.items() if name.strip("?") != "|"}
    for name, optional in names.items():
        if name in found:
            shape = recorded[f"{name}?" if optional else name]
            yield from differences(shape, found[name], f"{where}.{name}")
        elif not optional:
            yield f"{where}.{name}: missing"
    for name in set(found) - set(names):
        yield f"{where}.{name}: never recorded"


@pytest.fixture
def world(oci: Emulator, client: Client) -> World:
    return World(oci, client)


def test_the_table_has_every_kind_once() -> None:
    assert len(KINDS) > 50
    assert len({identity(kind) for kind in KINDS}) == len(KINDS)
    assert sum(kind["count"] for kind in KINDS) > 1000


@pytest.mark.parametrize("kind", KINDS, ids=identity)
def test_it_is_answered_as_recorded(world: World, kind: dict[str, Any]) -> None:
    path, body, headers = prepare(world, kind)
    target = path + query_of(world, kind, path)
    if "opc-client-request-id" in kind.get("headers", []):
        headers["opc-client-request-id"] = "my-own"
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    reply = world.client.call(kind["method"], target, data, headers)
    assert reply.status == kind["status"], reply
    always = {*FACTS["always"], *kind.get("headers", [])}
    actual = set(reply.headers)
    assert always - actual == set(), "headers that are missing"
    assert actual - always - set(kind.get("sometimes", [])) - INCIDENTAL == set()
    if "code" in kind:
        value = reply.json()
        assert set(value) == {"code", "message"}
        assert value["code"] == kind["code"]
        assert re.sub(r"'[^']*'", "'…'", value["message"]) == kind["message"]
    elif "body" in kind:
        shape = shape_of_json(reply.json())
        for key in NEWER.get((kind["method"], kind["path"]), ()):
            assert shape.pop(key) == ["string"]
        assert list(differences(kind["body"], shape)) == []


def test_request_ids_are_those_of_a_region(client: Client) -> None:
    ids = {client.call("GET", "/n").headers["opc-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch(r"[a-z]{3}-1:[A-Za-z0-9_-]{64}", each) for each in ids)
