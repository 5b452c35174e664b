"""What Object Storage answers: documents and headers of every operation."""

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from hypothesis import strategies as st

from ocihaul.cli.objects import official_json
from ocihaul.directories.compare import SyncMode, in_order, judge_download, judge_upload
from ocihaul.endpoints import Origin
from ocihaul.errors import ServiceError
from ocihaul.http.client import ServiceCall
from ocihaul.http.retry import classify, foreign, retry_after, service_error
from ocihaul.storage.client import PreauthenticatedUploads, StorageClient
from ocihaul.storage.names import fits_header
from ocihaul.storage.values import ObjectPage, PreauthenticatedRequest, Selection
from ocihaul.transfer.download.verification import ObjectChecksums, part_sizes
from ocihaul.transport.message import Answer, Request, request_head
from tests.fuzz.strategies import headers, json_texts, texts
from tests.fuzz.target import Target

WHERE = ("ns1", "backups")
TIME = "2026-11-24T03:18:51.192Z"
ENTRY = {
    "name": "a/b",
    "size": 5,
    "etag": "0d1c-42",
    "md5": "1B2M2Y8AsgTpgAmY7PhCfg==-3",
    "timeCreated": TIME,
    "timeModified": TIME,
    "storageTier": "Standard",
    "archivalState": "Restored",
}
PAR = {
    "id": "x:y",
    "name": "p",
    "accessType": "ObjectRead",
    "timeCreated": TIME,
    "timeExpires": TIME,
    "objectName": "a/b",
    "accessUri": "/p/secret/n/ns1/b/backups/o/a",
    "fullPath": "https://host/p/secret/n/ns1/b/backups/o/a",
}
UPLOAD = {
    "uploadId": "u1",
    "object": "a/b",
    "timeCreated": TIME,
    "storageTier": "Standard",
    "namespace": "ns1",
    "bucket": "backups",
}
BUCKET = {
    "name": "backups",
    "namespace": "ns1",
    "compartmentId": "c",
    "timeCreated": TIME,
    "etag": "e",
    "freeformTags": {"a": "b"},
    "approximateSize": 5,
}
WORK = {
    "id": "w1",
    "status": "COMPLETED",
    "percentComplete": 99.5,
    "operationType": "COPY_OBJECT",
    "timeAccepted": TIME,
    "resources": [{"actionType": "READ", "entityType": "object", "metadata": {"a": "b"}}],
}
HEADERS = {
    "opc-request-id": "r1",
    "etag": "0d1c-42",
    "content-length": "5",
    "opc-next-page": "2",
    "opc-content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
    "opc-multipart-md5": "1B2M2Y8AsgTpgAmY7PhCfg==-3",
    "retry-after": "3",
    "date": "Tue, 24 Nov 2026 03:18:51 GMT",
    "is-delete-marker": "true",
    "opc-work-request-id": "w1",
}


class Scripted:
    """A client that gives the same answer to every call, and has none without end."""

    def __init__(self, told: Mapping[str, str], body: bytes) -> None:
        self._answer = Answer(200, told, body, 0)
        self._calls = 0

    def call(self, origin: Origin, call: ServiceCall) -> Answer:
        self._calls += 1
        assert self._calls < 3000, "no end of pages"
        # What is asked next may have been taken from the last answer: it has to be sendable.
        target = Request(call.method, call.target, {"host": origin.host_header, **call.headers})
        request_head(target)
        return self._answer


Work = Callable[[StorageClient], object]


def operation(name: str, document: Any, work: Work) -> Target:
    """An operation with its document and the headers of its answer."""
    inputs = st.tuples(headers(HEADERS), json_texts(document))

    def parse(given: tuple[dict[str, str], bytes]) -> object:
        storage = StorageClient(Scripted(*given), lambda _: "http://service.test")  # type: ignore[arg-type]  # a double
        return work(storage)

    return Target(name, inputs, parse, (ServiceError,))


def _sound_page(page: ObjectPage) -> None:
    for each in page.objects:
        each.name.encode()
        assert each.size is None or 0 <= each.size < 2**63
        assert each.etag is None or fits_header(each.etag)
        for mode in (SyncMode.SYNC, SyncMode.KEEP, SyncMode.REPLACE):
            judge_upload(mode, 5, 5, each)
            judge_download(mode, each, 5, 5)
        json.dumps(official_json.listed_object(each), indent=2)
    json.dumps(page.prefixes)


def _objects(storage: StorageClient) -> None:
    pages = list(islice(storage.list_objects(*WHERE, Selection(delimiter="/"), limit=3), 5))
    for page in pages:
        _sound_page(page)
    list(in_order(each for page in pages for each in page.objects))


def _versions(storage: StorageClient) -> None:
    for page in islice(storage.list_object_versions(*WHERE), 5):
        _sound_page(page)


def _shown(items: Iterable[Any], shape: Callable[[Any], Any]) -> None:
    for each in items:
        json.dumps(shape(each), indent=2, sort_keys=True)


def _par(storage: StorageClient) -> None:
    made = storage.create_preauthenticated_request(
        *WHERE, name="p", access_type="ObjectRead", time_expires=TIME
    )
    _usable(made)


def _usable(made: PreauthenticatedRequest) -> None:
    assert made.access_uri is not None
    request_head(Request("PUT", made.access_uri, {"host": "h"}))
    assert "access_uri" not in repr(made)  # by its name: a path of one character is in any text


def _opened(given: tuple[dict[str, str], bytes]) -> None:
    uploads = PreauthenticatedUploads(Scripted(*given), "http://service.test")  # type: ignore[arg-type]  # a double
    opened = uploads.create("/p/secret/o/x", {})
    opened.upload_id.encode()
    request_head(Request("PUT", f"{opened.access_uri}1", {"host": "h"}))


def _head(storage: StorageClient) -> None:
    there = storage.head_object(*WHERE, "a")
    assert 0 <= there.size < 10**18
    assert there.etag is None or fits_header(there.etag)
    promise = ObjectChecksums.of(there.headers)
    if promise.parts:
        list(islice(part_sizes(there.size, promise.parts, None), 100))
    promise.block(there.size, None)


def _batch(storage: StorageClient) -> None:
    told = storage.batch_delete_objects(*WHERE, {"a": None, "b": "e"})
    assert all(isinstance(each.status, int) for each in told.failed)
    "".join((*told.deleted, *(each.name + each.message for each in told.failed))).encode()


def _stored(storage: StorageClient) -> None:
    told = storage.put_object(*WHERE, "a", b"x", {}).headers
    again = {"if-match": told["etag"]}
    storage.put_object(*WHERE, "a", b"x", again)


def _part(storage: StorageClient) -> None:
    class Body:
        length = 1

        def blocks(self) -> Any:
            return iter([b"x"])

        def sent(self, count: int) -> None:
            pass

    part = storage.upload_part(*WHERE, "a", upload_id="u", number=1, body=Body(), headers={})
    storage.commit_multipart_upload(
        *WHERE, "a", upload_id="u", etags=[part.headers["etag"]], headers={}
    )


def _failure(given: tuple[int, dict[str, str], bytes]) -> None:
    status, told, body = given
    answer = Answer(status, told, body, 0)
    for error in (service_error(answer, "PutObject"), foreign(answer, "PutObject")):
        assert str(error)
    failure = service_error(answer, "PutObject")
    assert failure.code is None or isinstance(failure.code, str)
    assert isinstance(failure.service_message, str)
    classify(status, failure.code)
    pause = retry_after(told, 1.8e9)
    assert pause is None or pause >= 0


_ERROR = {"code": "BucketNotFound", "message": "there is no such bucket"}
_STATUSES = st.sampled_from((200, 204, 302, 400, 401, 403, 404, 409, 412, 429, 500, 503))

TARGETS = [
    operation(
        "ListObjects",
        {"objects": [ENTRY, ENTRY | {"name": "a/c"}], "prefixes": ["a/"], "nextStartWith": "a/d"},
        _objects,
    ),
    operation(
        "ListObjectVersions",
        {"items": [ENTRY | {"versionId": "v", "isDeleteMarker": False}], "prefixes": []},
        _versions,
    ),
    operation(
        "ListMultipartUploads",
        [UPLOAD],
        lambda s: _shown(s.list_multipart_uploads(*WHERE), official_json.upload_summary),
    ),
    operation(
        "ListMultipartUploadParts",
        [{"partNumber": 1, "etag": "e", "md5": "m", "size": 5}],
        lambda s: [
            range(each.size) for each in s.list_multipart_upload_parts(*WHERE, "a", upload_id="u")
        ],
    ),
    operation(
        "ListPreauthenticatedRequests",
        [PAR],
        lambda s: _shown(s.list_preauthenticated_requests(*WHERE), official_json.par),
    ),
    operation(
        "ListBuckets",
        [BUCKET],
        lambda s: _shown(s.list_buckets("ns1", "c"), official_json.bucket_summary),
    ),
    operation("GetBucket", BUCKET, lambda s: _shown([s.get_bucket(*WHERE)], official_json.bucket)),
    operation(
        "GetWorkRequest",
        WORK,
        lambda s: _shown([s.get_work_request("w1")], official_json.work_request),
    ),
    operation(
        "GetPreauthenticatedRequest",
        PAR,
        lambda s: _shown([s.get_preauthenticated_request(*WHERE, "p")], official_json.par),
    ),
    operation("CreatePreauthenticatedRequest", PAR, _par),
    operation(
        "BatchDeleteObjects",
        {
            "deleted": [{"objectName": "a"}],
            "failed": [{"objectName": "b", "statusCode": 412, "errorMessage": "no"}],
        },
        _batch,
    ),
    operation("GetNamespace", "ns1", lambda s: s.get_namespace().encode()),
    operation(
        "CreateMultipartUpload",
        {"uploadId": "u1"},
        lambda s: s.create_multipart_upload(*WHERE, {"object": "a"}, {}).encode(),
    ),
    operation("PutObject", "", _stored),
    operation("UploadPart", "", _part),
    operation("HeadObject", "", _head),
    operation("DeleteObject", "", lambda s: s.delete_object(*WHERE, "a")),
    operation("CopyObject", "", lambda s: s.copy_object(*WHERE, {"sourceObjectName": "a"})),
    Target(
        "an upload through a PAR",
        st.tuples(headers(HEADERS), json_texts({"uploadId": "u", "accessUri": PAR["accessUri"]})),
        _opened,
        (ServiceError,),
    ),
    Target("errors", st.tuples(_STATUSES, headers(HEADERS), json_texts(_ERROR)), _failure, ()),
    Target(
        "retry-after",
        texts.map(lambda text: {"retry-after": text}),
        lambda told: retry_after(told, 1.8e9),
        (),
    ),
]
