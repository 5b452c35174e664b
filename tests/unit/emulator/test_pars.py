"""Pre-authenticated requests: as their owner sees them, and through their URLs."""

import base64
import json
from datetime import UTC, datetime, timedelta

import crc32c
import pytest

from ocihaul.emulator import Emulator, Fault
from ocihaul.emulator.settings import ParRefusal

from .client import Client, Reply


def later(seconds: float = 3600) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def created(client: Client, access_type: str = "ObjectWrite", **more: str) -> Reply:
    body = {"name": "mine", "accessType": access_type, "timeExpires": later(), **more}
    return client.post(client.path("p"), body)


def uri(client: Client, access_type: str, **more: str) -> str:
    reply = created(client, access_type, **more)
    assert reply.status == 200, reply
    return str(reply.json()["accessUri"])


def test_the_url_is_told_once_and_to_nobody_else(oci: Emulator, client: Client) -> None:
    told = created(client, objectName="a/b c").json()
    assert told["accessUri"].endswith("/n/ns1/b/backups/o/a/b%20c")
    assert told["fullPath"] == oci.endpoint + told["accessUri"]
    known = client.call("GET", client.path("p", told["id"])).json()
    assert known == {key: told[key] for key in told if key not in {"accessUri", "fullPath"}}
    assert client.call("GET", client.path("p")).json() == [known]
    assert client.anonymous("PUT", told["accessUri"], b"data").status == 200
    assert oci.read_object("backups", "a/b c") == b"data"
    (secret,) = oci.par_secrets()
    assert secret in told["accessUri"]
    assert all(secret not in str(entry) for entry in oci.log.entries())
    assert client.call("DELETE", client.path("p", told["id"])).status == 204
    assert client.anonymous("PUT", told["accessUri"], b"data").status == 404
    assert client.call("DELETE", client.path("p", told["id"])).status == 404


def test_pars_are_listed_in_pages_and_by_prefix(oci: Emulator, client: Client) -> None:
    for name in ("a1", "a2", "b1"):
        created(client, objectName=name)
    first = client.call("GET", client.path("p") + "?limit=2")
    second = client.call("GET", client.path("p") + f"?page={first.headers['opc-next-page']}")
    assert [each["objectName"] for each in first.json() + second.json()] == ["a1", "a2", "b1"]
    assert "opc-next-page" not in second.headers
    assert len(client.call("GET", client.path("p") + "?objectNamePrefix=a").json()) == 2


@pytest.mark.parametrize(
    "more",
    [
        {"accessType": "ObjectEat", "objectName": "x"},
        {"accessType": "ObjectRead"},
        {"timeExpires": "2001-01-01T00:00:00Z", "objectName": "x"},
        {"timeExpires": "tomorrow", "objectName": "x"},
        {"name": "", "objectName": "x"},
        {"bucketListingAction": "Perhaps", "objectName": "x"},
    ],
)
def test_what_is_no_par_is_refused(client: Client, more: dict[str, str]) -> None:
    body = {"name": "n", "accessType": "ObjectRead", "timeExpires": later(), **more}
    assert client.post(client.path("p"), body).status == 400


@pytest.mark.parametrize(
    ("access_type", "reads", "writes"),
    [
        ("ObjectRead", True, False),
        ("ObjectWrite", False, True),
        ("ObjectReadWrite", True, True),
        ("AnyObjectRead", True, False),
        ("AnyObjectWrite", False, True),
        ("AnyObjectReadWrite", True, True),
    ],
)
def test_each_type_allows_what_it_says(
    oci: Emulator, client: Client, access_type: str, *, reads: bool, writes: bool
) -> None:
    oci.put_object("backups", "it", b"old")
    anyone = access_type.startswith("Any")
    url = uri(client, access_type, **({} if anyone else {"objectName": "it"}))
    url += "it" if anyone else ""
    assert (client.anonymous("GET", url).body == b"old") is reads
    assert (client.anonymous("HEAD", url).status == 200) is reads
    assert (client.anonymous("PUT", url, b"new").status == 200) is writes
    multipart = client.anonymous("PUT", url, headers={"opc-multipart": "true"})
    assert (multipart.status == 200) is writes
    assert (oci.read_object("backups", "it") == b"new") is writes
    assert client.anonymous("DELETE", url).status == 404
    other = url.removesuffix("it") + "other"
    assert (client.anonymous("PUT", other, b"x").status == 200) is (writes and anyone)


def test_a_prefix_bounds_what_it_is_for_and_what_it_lists(oci: Emulator, client: Client) -> None:
    for name in ("in/1", "in/2", "out"):
        oci.put_object("backups", name, b"x")
    url = uri(client, "AnyObjectRead", objectName="in/", bucketListingAction="ListObjects")
    assert url.endswith("/o/")
    listed = client.anonymous("GET", url).json()["objects"]
    assert [each["name"] for each in listed] == ["in/1", "in/2"]
    assert client.anonymous("GET", url + "?prefix=in/2").json()["objects"] == [{"name": "in/2"}]
    assert client.anonymous("GET", url + "in/1").status == 200
    assert client.anonymous("GET", url + "out").status == 404
    silent = uri(client, "AnyObjectRead")
    assert client.anonymous("GET", silent).status == 404
    assert client.anonymous("GET", silent + "out").body == b"x"


@pytest.mark.parametrize("status", [401, 404])
def test_the_right_is_looked_at_on_each_use(
    oci: Emulator, client: Client, status: ParRefusal
) -> None:
    oci.configure(par_refusal=status)
    body = {"name": "n", "accessType": "ObjectWrite", "objectName": "it", "timeExpires": later(1)}
    url = client.post(client.path("p"), body).json()["accessUri"]
    assert client.anonymous("PUT", url, b"1").status == 200
    oci.configure(par_rights=False)
    assert client.anonymous("PUT", url, b"2").status == status
    oci.configure(par_rights=True, clock_offset=2.0)
    assert client.anonymous("PUT", url, b"3").status == status
    assert oci.log.entries()[-1].error_detail == "the PAR is expired"
    oci.configure(clock_offset=0.0)
    assert client.anonymous("PUT", url.replace("/p/", "/p/x"), b"4").status == status
    assert client.anonymous("PUT", url.replace("backups", "other"), b"5").status == status
    assert oci.read_object("backups", "it") == b"1"


def test_it_outlives_the_session_that_made_it(oci: Emulator, client: Client) -> None:
    url = uri(client, "ObjectWrite", objectName="it")
    oci.end_session(client.session)
    assert client.get("it").status == 401
    assert client.anonymous("PUT", url, b"data").status == 200


def begun(client: Client, url: str, **headers: str) -> str:
    given = {key.replace("_", "-"): value for key, value in headers.items()}
    reply = client.anonymous("PUT", url, headers={"opc-multipart": "true", **given})
    assert reply.status == 200, reply
    return str(reply.json()["accessUri"])


@pytest.mark.parametrize("named", [True, False])
def test_a_multipart_upload_through_it(oci: Emulator, client: Client, *, named: bool) -> None:
    url = uri(client, "ObjectWrite", objectName="dir/big file")
    upload = begun(client, url, storage_tier="Archive", opc_meta_who="me")
    assert upload.endswith("/")
    etags = [
        client.anonymous("PUT", f"{upload}{number}", data).headers["etag"]
        for number, data in ((2, b"second"), (1, b"first"))
    ]
    listed = client.anonymous("GET", upload).json()
    assert [(part["partNumber"], part["size"]) for part in listed] == [(1, 5), (2, 6)]
    assert oci.object_names("backups") == []
    parts = [{"partNum": 1, "etag": etags[1]}, {"partNum": 2, "etag": etags[0]}]
    body = json.dumps({"partsToCommit": parts}).encode() if named else None
    assert client.anonymous("POST", upload, body).status == 200
    assert oci.read_object("backups", "dir/big file") == b"firstsecond"
    info = oci.object_info("backups", "dir/big file")
    assert (info.storage_tier, info.metadata) == ("Archive", {"who": "me"})
    assert oci.log.count(operation="ParUploadPart", status=200) == 2
    assert oci.log.count(operation="UploadPart") == 0
    entry = oci.log.entries(operation="ParUploadPart")[0]
    assert (entry.part_number, entry.upload_id) == (2, upload.split("/")[-2])


def test_an_upload_belongs_to_the_par_that_began_it(oci: Emulator, client: Client) -> None:
    url = uri(client, "ObjectWrite", objectName="it")
    other = uri(client, "ObjectWrite", objectName="it")
    upload = begun(client, url)
    stolen = upload.replace(url.split("/")[2], other.split("/")[2])
    assert client.anonymous("PUT", f"{stolen}1", b"x").status == 404
    signed = client.create("it")
    assert (
        client.anonymous("PUT", upload.replace(upload.split("/")[-2], signed) + "1").status == 404
    )
    assert client.anonymous("DELETE", upload).status == 204
    assert client.anonymous("PUT", f"{upload}1", b"x").status == 404
    assert [each.upload_id for each in oci.uploads("backups")] == [signed]


@pytest.mark.parametrize("lists", [True, False])
def test_whether_parts_are_listed_can_be_set(oci: Emulator, client: Client, *, lists: bool) -> None:
    oci.configure(par_lists_parts=lists)
    upload = begun(client, uri(client, "ObjectWrite", objectName="it"))
    assert client.anonymous("GET", upload).status == (200 if lists else 405)


@pytest.mark.parametrize("ignored", [True, False])
def test_which_headers_count_can_be_set(oci: Emulator, client: Client, *, ignored: bool) -> None:
    names = {"if-none-match", "opc-checksum-algorithm", "opc-content-crc32c", "storage-tier"}
    oci.configure(par_ignores=frozenset(names) if ignored else frozenset())
    url = uri(client, "ObjectWrite", objectName="it")
    right = base64.b64encode(crc32c.crc32c(b"data").to_bytes(4, "big")).decode()
    headers = {"opc-checksum-algorithm": "CRC32C", "storage-tier": "Archive"}
    put = client.anonymous("PUT", url, b"data", headers)
    assert put.headers.get("opc-content-crc32c") == (None if ignored else right)
    tier = oci.object_info("backups", "it").storage_tier
    assert tier == ("Standard" if ignored else "Archive")
    again = client.anonymous("PUT", url, b"data", {"if-none-match": "*"})
    assert again.status == (200 if ignored else 412)
    create = {"if-none-match": "*", "opc-multipart": "true"}
    assert client.anonymous("PUT", url, None, create).status == (200 if ignored else 412)
    upload = begun(client, url)
    wrong = {"opc-content-crc32c": "AAAAAA=="}
    part = client.anonymous("PUT", f"{upload}1", b"data", wrong)
    assert part.status == (200 if ignored else 400)


def test_faults_can_be_for_it_alone(oci: Emulator, client: Client) -> None:
    oci.faults.add(Fault(operation="ParUploadPart", part_number=2, status=503))
    upload = begun(client, uri(client, "ObjectWrite", objectName="it"))
    signed = client.create("it")
    assert client.part("it", signed, 2, b"x").status == 200
    assert [client.anonymous("PUT", f"{upload}2", b"x").status for _ in range(2)] == [503, 200]
    oci.faults.assert_all_fired()
