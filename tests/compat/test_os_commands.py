"""The same command line for the official CLI and for ours: what goes to stdout is the same."""

import json
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest

from ocihaul.emulator.auth import TENANCY

from .conftest import Official
from .programs import with_client

#: What differs between two requests, or only one of the two sends.
_VOLATILE = re.compile(r'^  "(date|opc-request-id|opc-client-request-id)": .*\n', re.MULTILINE)


def ours(official: Official, line: str) -> subprocess.CompletedProcess[bytes]:
    """`ocihaul …` as its user would type it."""
    flags = ["--config-file", str(official.config), "--auth", "security_token"]
    flags += ["--endpoint", official.oci.endpoint, "--auth-endpoint", official.oci.endpoint]
    return official.program([sys.executable, "-m", "ocihaul", *shlex.split(line), *flags])


def both(official: Official, line: str) -> str:
    """The output that both give, byte for byte but for what changes with each request."""
    theirs = official.run(*shlex.split(line))
    mine = ours(official, line)
    assert theirs.returncode == 0, theirs.stderr.decode()
    assert mine.returncode == 0, mine.stderr.decode()
    expected = _VOLATILE.sub("", theirs.stdout.decode())
    assert _VOLATILE.sub("", mine.stdout.decode()) == expected, line
    return expected


def seed(official: Official) -> None:
    official.oci.put_object("backups", "é b", b"xyz", part_size=1, metadata={"who": "me"})
    official.oci.put_object("backups", "cold", b"ice", storage_tier="Archive", algorithm="CRC32C")
    for name in ("dir/a", "dir/b", "dir/sub/c", "e", "other/x", "z"):
        official.oci.put_object("backups", name, b"x")


def test_lists_are_the_same_byte_for_byte(official: Official) -> None:
    seed(official)
    place = "-ns ns1 -bn backups"
    everything = both(official, f"os object list {place}")
    assert len(json.loads(everything)["data"]) == 8
    both(official, f"os object list {place} --prefix dir/ --delimiter / --fields name,size")
    page = json.loads(both(official, f"os object list {place} --limit 2 --delimiter /"))
    assert (len(page["data"]), page["prefixes"]) == (2, ["dir/"])
    assert page["next-start-with"] == "other/"
    both(official, f"os object list {place} --limit 3 --page-size 2")
    both(official, f"os object list {place} --all --page-size 1 --delimiter /")
    assert (
        both(official, f"os object list {place} --start zz --end zzz") == '{\n  "prefixes": []\n}\n'
    )
    both(official, f"os object list {place} --start e --query 'data[*].name'")


@pytest.mark.parametrize(
    "line",
    [
        "object list -bn backups",
        "object list -bn backups --limit 2 --delimiter /",
        "object list -bn backups --query data[*].name",
        "ns get -c c",
        "bucket get --name backups",
        f"bucket list --compartment-id {TENANCY}",
        "multipart list -bn backups",
    ],
)
def test_tables_are_the_same_and_what_stands_beside_them(official: Official, line: str) -> None:
    seed(official)
    line = f"os {line} --output table"
    line += "" if "ns get" in line else " -ns ns1"
    both(official, line)
    beside = official.run(*shlex.split(line)).stderr.decode().splitlines()
    assert ours(official, line).stderr.decode().splitlines() == beside


def test_head_is_the_same(official: Official) -> None:
    seed(official)
    head = json.loads(both(official, "os object head -ns ns1 -bn backups --name 'é b'"))
    assert head["opc-meta-who"] == "me"
    both(official, "os object head -ns ns1 -bn backups --name cold")


def test_namespace_and_buckets_are_the_same(official: Official) -> None:
    seed(official)
    official.oci.create_bucket("second", versioning="Enabled")
    assert json.loads(both(official, "os ns get -c c")) == {"data": "ns1"}
    both(official, "os bucket get -ns ns1 --name backups")
    both(official, "os bucket get -bn second --fields approximateCount --fields autoTiering")
    listed = f"os bucket list -ns ns1 --compartment-id {TENANCY}"
    both(official, f"{listed} --fields TAGS")
    page = json.loads(both(official, f"{listed} --limit 1"))["opc-next-page"]
    assert len(json.loads(both(official, f"{listed} --page {page}"))["data"]) == 1


UPLOADS = """
for name in ("one", "two", "three"):
    details = models.CreateMultipartUploadDetails(object=name, storage_tier="Archive")
    client.create_multipart_upload("ns1", "backups", details)
"""


def test_uploads_are_the_same_and_ours_aborts_them(official: Official) -> None:
    place = "-ns ns1 -bn backups"
    assert both(official, f"os multipart list {place}") == ""
    with_client(official, UPLOADS)
    listed = json.loads(both(official, f"os multipart list {place}"))
    assert len(listed["data"]) == 3
    first = json.loads(both(official, f"os multipart list {place} --limit 2"))
    page = first["opc-next-page"]
    assert len(first["data"]) == 2
    both(official, f"os multipart list {place} --page {page}")
    both(official, f"os multipart list {place} --all --page-size 1")
    upload = listed["data"][0]
    line = f"os multipart abort {place} -on {upload['object']} --upload-id {upload['upload-id']}"
    refused = ours(official, line)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"--force" in refused.stderr
    aborted = ours(official, f"{line} --force")
    assert (aborted.returncode, aborted.stdout) == (0, b""), aborted.stderr
    assert len(official.oci.uploads("backups")) == 2


def made(official: Official, line: str) -> dict[str, Any]:
    """A PAR that ours made."""
    done = ours(official, f"os preauth-request create -ns ns1 -bn backups {line}")
    assert done.returncode == 0, done.stderr.decode()
    return dict(json.loads(done.stdout)["data"])


def test_pars_are_the_same(official: Official) -> None:
    place = "-ns ns1 -bn backups"
    official.oci.put_object("backups", "x", b"data")
    line = "--name p --access-type ObjectRead -on x --time-expires '2099-01-02 03:04'"
    mine = made(official, line)
    theirs = official.os(*shlex.split(f"preauth-request create {place} {line}"))["data"]
    assert mine.keys() == theirs.keys()
    for name in ("access-type", "bucket-listing-action", "name", "object-name", "time-expires"):
        assert mine[name] == theirs[name]
    assert mine["full-path"] == official.oci.endpoint + mine["access-uri"]
    listed = json.loads(both(official, f"os preauth-request list {place}"))
    assert [each["id"] for each in listed["data"]] == [mine["id"], theirs["id"]]
    both(official, f"os preauth-request list {place} --limit 1")
    both(official, f"os preauth-request get {place} --par-id '{theirs['id']}'")
    for each in (mine["id"], theirs["id"]):
        gone = ours(official, f"os preauth-request delete {place} --par-id '{each}' --force")
        assert (gone.returncode, gone.stdout) == (0, b""), gone.stderr
    assert both(official, f"os preauth-request list {place}") == ""


@pytest.mark.parametrize("moment", ["2099-01-02", "2099-09-15T12:30:00-0800", "4070908800"])
def test_times_are_read_alike(official: Official, moment: str) -> None:
    line = f"--name p --access-type AnyObjectRead --time-expires '{moment}'"
    theirs = official.os(*shlex.split(f"preauth-request create -bn backups -ns ns1 {line}"))["data"]
    assert made(official, line)["time-expires"] == theirs["time-expires"]


def test_rename_copy_restore_and_delete_act_alike(official: Official) -> None:
    seed(official)
    place = "-ns ns1 -bn backups"
    official.oci.configure(restore_seconds=0.0)
    outputs = []
    for tool, name in (
        (official.run, "dir/a"),
        (lambda *argv: ours(official, shlex.join(argv)), "e"),
    ):
        renamed = tool(*shlex.split(f"os object rename {place} --name {name} --new-name {name}2"))
        copied = tool(
            *shlex.split(
                f"os object copy {place} --source-object-name {name}2 --destination-bucket backups "
                f"--destination-object-name {name}3 "
                '--destination-object-metadata \'{"k":"v"}\' '
                "--wait-for-state completed --wait-interval-seconds 1"
            )
        )
        deleted = tool(*shlex.split(f"os object delete {place} --name {name}2 --force"))
        restored = tool(*shlex.split(f"os object restore {place} --name cold --hours 3"))
        outputs.append([renamed, copied, deleted, restored])
        assert official.oci.object_info("backups", f"{name}3").metadata == {"k": "v"}
        assert f"{name}2" not in official.oci.object_names("backups")
    for theirs, mine in zip(*outputs, strict=True):
        assert (theirs.returncode, mine.returncode) == (0, 0), mine.stderr
        assert shape(theirs.stdout) == shape(mine.stdout)
    status = "os object restore-status -ns ns1 -bn backups --name"
    both(official, f"{status} z")
    assert b"Available" in ours(official, f"{status} z").stderr
    assert (
        b"Restored. You have 0 days 2 hours 59 mins to" in ours(official, f"{status} cold").stderr
    )


def shape(output: bytes) -> object:
    """What stays the same for another object."""
    text = re.sub(r'"[^"]*(dir/a|/e|[0-9a-f]{8}-[0-9a-f-]{27}|^e)\d?"', '"…"', output.decode())
    text = re.sub(r'"\d{4}-\d\d-\d\dT[^"]*"', '"…"', text)
    return re.sub(r'"OBJECT": "[^"]*"', '"OBJECT": "…"', text)


def test_what_we_do_not_have_still_goes_to_the_official_cli(official: Official) -> None:
    official.environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
    done = ours(official, "os replication list-replication-sources -ns ns1 -bn backups")
    assert done.returncode == 2
    assert b"official CLI" in done.stderr


SDK = """
import datetime, urllib.request
client.update_bucket("ns1", "backups", models.UpdateBucketDetails(versioning="Enabled"))
put = lambda name, data: client.put_object("ns1", "backups", name, data).headers["version-id"]
first, second = put("it", b"1"), put("it", b"2")
gone = client.delete_object("ns1", "backups", "it")
assert gone.headers["is-delete-marker"] == "true"
versions = oci.pagination.list_call_get_all_results(
    client.list_object_versions, "ns1", "backups", limit=1).data
found = [(each.version_id, each.is_delete_marker) for each in versions]
assert found == [(gone.headers["version-id"], True), (second, False), (first, False)], found
assert client.get_object("ns1", "backups", "it", version_id=first).data.content == b"1"
client.delete_object("ns1", "backups", "it", version_id=gone.headers["version-id"])
assert client.get_object("ns1", "backups", "it").data.content == b"2"

for name in ("a", "b"):
    put(name, b"x")
objects = [models.BatchDeleteObjectIdentifier(object_name=name) for name in ("a", "b", "none")]
result = client.batch_delete_objects(
    "ns1", "backups", models.BatchDeleteObjectsDetails(objects=objects)).data
assert [each.object_name for each in result.deleted] == ["a", "b"]
assert [(each.object_name, each.status_code) for each in result.failed] == [("none", 404)]

expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
par = client.create_preauthenticated_request("ns1", "backups",
    models.CreatePreauthenticatedRequestDetails(
        name="p", access_type="AnyObjectReadWrite", time_expires=expires,
        bucket_listing_action="ListObjects")).data
def ask(method, path, data=None, **headers):
    request = urllib.request.Request(
        sys.argv[2] + path, data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.read()
ask("PUT", par.access_uri + "through", b"data")
assert client.get_object("ns1", "backups", "through").data.content == b"data"
import json
upload = json.loads(ask("PUT", par.access_uri + "big", **{"opc-multipart": "true"}))
for number in (1, 2):
    ask("PUT", upload["accessUri"] + str(number), b"part%d" % number)
ask("POST", upload["accessUri"])
assert client.get_object("ns1", "backups", "big").data.content == b"part1part2"
listed = json.loads(ask("GET", par.access_uri))
assert [each["name"] for each in listed["objects"]] == ["big", "it", "through"], listed
client.delete_preauthenticated_request("ns1", "backups", par.id)
assert client.list_preauthenticated_requests("ns1", "backups").data == []
pages = client.list_objects("ns1", "backups", limit=1, fields="name,archivalState").data
assert pages.next_start_with == "it"
"""


def test_the_sdk_finds_versions_batches_pars_and_pages_as_it_knows_them(official: Official) -> None:
    with_client(official, SDK)
