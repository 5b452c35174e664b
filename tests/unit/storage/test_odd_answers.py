"""Successes that cannot be used: each is an error of the service, and nothing odd is sent back."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ocihaul.endpoints import Origin
from ocihaul.errors import ServiceError
from ocihaul.events import Notice
from ocihaul.http.client import ServiceCall
from ocihaul.storage.calls import MOST_EMPTY
from ocihaul.storage.client import PreauthenticatedUploads, StorageClient
from ocihaul.storage.values import ListedObject, ObjectPage, Selection
from ocihaul.transport.message import Answer
from tests.support import Recorder

WHERE = ("n", "b")
DEEP = b"[" * 100_000
ODD_ETAGS = ["a\r\nx: y", "a\tb", "é", "\x7f", " a", "", "a\x00"]


class Answering:
    """A client that gives one answer after the other, the last one for ever."""

    def __init__(self, *bodies: object, headers: Mapping[str, str] | None = None) -> None:
        self._bodies = [each if isinstance(each, bytes) else json.dumps(each) for each in bodies]
        self._headers = {"etag": "e", **(headers or {})}
        self.calls: list[ServiceCall] = []
        self.heard = Recorder()

    def call(self, _origin: Origin, call: ServiceCall) -> Answer:
        self.calls.append(call)
        body = self._bodies[min(len(self.calls), len(self._bodies)) - 1]
        data = body if isinstance(body, bytes) else body.encode()
        headers = {name: value for name, value in self._headers.items() if value != "-"}
        return Answer(200, headers, data, 0)

    @property
    def storage(self) -> StorageClient:
        return StorageClient(self, lambda _: "http://service.test", listener=self.heard)  # type: ignore[arg-type]  # a double


OPERATIONS: dict[str, Callable[[StorageClient], object]] = {
    "ListObjects": lambda s: list(s.list_objects(*WHERE)),
    "ListObjectVersions": lambda s: list(s.list_object_versions(*WHERE)),
    "ListMultipartUploads": lambda s: list(s.list_multipart_uploads(*WHERE)),
    "ListMultipartUploadParts": lambda s: list(
        s.list_multipart_upload_parts(*WHERE, "o", upload_id="u")
    ),
    "ListPreauthenticatedRequests": lambda s: list(s.list_preauthenticated_requests(*WHERE)),
    "ListBuckets": lambda s: list(s.list_buckets("n", "c")),
    "GetBucket": lambda s: s.get_bucket(*WHERE),
    "GetNamespace": lambda s: s.get_namespace(),
    "GetWorkRequest": lambda s: s.get_work_request("w"),
    "CreateMultipartUpload": lambda s: s.create_multipart_upload(*WHERE, {}, {}),
    "BatchDeleteObjects": lambda s: s.batch_delete_objects(*WHERE, {"a": None}),
    "GetPreauthenticatedRequest": lambda s: s.get_preauthenticated_request(*WHERE, "p"),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_finding_a21_an_answer_of_any_depth_is_an_error_of_the_service(operation: str) -> None:
    answering = Answering(DEEP)
    with pytest.raises(ServiceError, match="nested deeper") as caught:
        OPERATIONS[operation](answering.storage)
    assert caught.value.operation == operation
    assert len(answering.calls) == 1


@pytest.mark.parametrize("following", [5, ["a"], {"a": 1}, True, "\ud800"])
def test_finding_a21_the_name_of_the_next_page_has_to_be_a_text(following: object) -> None:
    answering = Answering({"objects": [{"name": "a"}], "nextStartWith": following})
    with pytest.raises(ServiceError, match="nextStartWith is"):
        list(answering.storage.list_objects(*WHERE))
    assert len(answering.calls) == 1


@pytest.mark.parametrize(
    ("start", "names", "following"),
    [("m", ["n"], "m"), ("m", ["n"], "a"), (None, ["b", "c"], "c"), (None, ["b", "c"], "bb")],
)
def test_finding_a21_a_page_that_makes_no_progress_ends_the_list(
    start: str | None, names: list[str], following: str
) -> None:
    objects = [{"name": name} for name in names]
    answering = Answering({"objects": objects, "nextStartWith": following})
    with pytest.raises(ServiceError, match="makes no progress"):
        list(answering.storage.list_objects(*WHERE, Selection(start=start)))
    assert len(answering.calls) == 1


def test_finding_a21_pages_without_an_entry_come_to_an_end() -> None:
    class Endless(Answering):
        def call(self, origin: Origin, call: ServiceCall) -> Answer:
            answer = super().call(origin, call)
            return Answer(200, {"opc-next-page": str(len(self.calls))}, answer.body, 0)

    answering = Endless([])
    with pytest.raises(ServiceError, match="makes no progress"):
        list(answering.storage.list_multipart_uploads(*WHERE))
    assert len(answering.calls) == MOST_EMPTY + 1


ODD_FIELDS = {
    "size": [-1, 1.5, "5", 10**18, 2**63, True, [5], {}],
    "etag": [5, ["e"], *ODD_ETAGS],
    "md5": [5, {}, "\ud800"],
    "timeModified": [5, "soon", "2026-13-01T00:00:00Z", "1600-01-01T00:00:00Z", ["x"]],
    "timeCreated": ["", "x" * 100],
    "archivalState": [1, ["Archived"]],
}


@pytest.mark.parametrize(("field", "values"), ODD_FIELDS.items())
def test_finding_a21_an_odd_field_costs_its_entry(field: str, values: list[object]) -> None:
    for value in values:
        entries: list[dict[str, object]] = [{"name": "a", field: value}, {"name": "b", "size": 5}]
        (page,) = Answering({"objects": entries}).storage.list_objects(*WHERE)
        odd, sound = page.objects
        assert odd == ListedObject("a", fault=odd.fault)
        assert odd.fault is not None
        assert odd.fault.startswith(f"{field} "), value
        assert sound == ListedObject("b", 5)


@pytest.mark.parametrize("name", [None, 5, "a\ud800", ["a"], {"name": "a"}])
def test_finding_a21_an_entry_without_a_usable_name_costs_itself(name: object) -> None:
    entries: list[object] = [{"name": name}, "text", None, {"name": "b"}]
    (page,) = Answering({"objects": entries, "prefixes": ["p/", 5]}).storage.list_objects(*WHERE)
    assert [each.name for each in page.objects] == ["b"]
    assert page.prefixes == ("p/",)
    assert len(page.odd) == 4
    assert isinstance(page, ObjectPage)


def test_finding_a21_odd_entries_of_other_lists_are_told_and_left_out() -> None:
    part: dict[str, Any] = {"partNumber": 1, "etag": "e", "size": 5}
    odd = [{**part, "partNumber": 0}, {**part, "partNumber": 10_001}, {**part, "size": "5"}, []]
    answering = Answering([*odd, {**part, "partNumber": 2}])
    listed = answering.storage.list_multipart_upload_parts(*WHERE, "o", upload_id="u")
    assert [each.number for each in listed] == [2]
    assert len(answering.heard.of(Notice)) == len(odd)


@pytest.mark.parametrize("etag", ["-", *ODD_ETAGS])
def test_finding_a21_what_is_stored_has_an_etag_that_can_be_sent_back(etag: str) -> None:
    storage = Answering(b"", headers={"etag": etag}).storage
    named: dict[str, Any] = {"upload_id": "u", "headers": {}}
    stores: list[Callable[[], object]] = [
        lambda: storage.put_object(*WHERE, "o", b"x", {}),
        lambda: storage.upload_part(*WHERE, "o", number=1, body=BODY, **named),
        lambda: storage.commit_multipart_upload(*WHERE, "o", etags=["e"], **named),
    ]
    for store in stores:
        with pytest.raises(ServiceError, match="etag"):
            store()


class _Body:
    length = 1

    def blocks(self) -> Any:
        return iter([b"x"])

    def sent(self, count: int) -> None:
        """Nobody counts."""


BODY = _Body()


@pytest.mark.parametrize("etag", ODD_ETAGS)
def test_finding_a21_an_odd_etag_of_a_head_is_an_error(etag: str) -> None:
    storage = Answering(b"", headers={"etag": etag, "content-length": "5"}).storage
    with pytest.raises(ServiceError, match="etag"):
        storage.head_object(*WHERE, "o")


@pytest.mark.parametrize("length", ["-", "", "-5", "5 5", "²", "9" * 19, "5\t"])
def test_a_head_tells_how_large_the_object_is(length: str) -> None:
    storage = Answering(b"", headers={"content-length": length}).storage
    with pytest.raises(ServiceError, match="how large"):
        storage.head_object(*WHERE, "o")


ODD_PATHS = ["/a b", "/a\r\nx: y", "/é", None, 5, "", "a", ["/a"], "\ud800", "/a\x7f"]


@pytest.mark.parametrize("uri", [*ODD_PATHS, "https://[::1/x"])
def test_finding_a21_an_odd_path_of_a_par_is_an_error_that_does_not_tell_it(uri: object) -> None:
    time = "2030-01-31T12:00:00Z"
    par = {"id": "i", "name": "n", "accessType": "t", "timeCreated": time, "timeExpires": time}
    storage = Answering({**par, "accessUri": uri, "fullPath": "x"}).storage
    with pytest.raises(ServiceError, match="accessUri") as caught:
        storage.create_preauthenticated_request(
            *WHERE, name="n", access_type="ObjectWrite", time_expires=time
        )
    assert "a b" not in str(caught.value)
    client = Answering({"uploadId": "u", "accessUri": uri})
    uploads = PreauthenticatedUploads(client, "http://service.test")  # type: ignore[arg-type]  # a double
    with pytest.raises(ServiceError, match="accessUri"):
        uploads.create("/p/x", {})


@pytest.mark.parametrize("given", [5, {}, [], "", None, "\ud800"])
def test_a_namespace_and_an_upload_id_are_texts(given: object) -> None:
    with pytest.raises(ServiceError):
        Answering(given).storage.get_namespace()
    if given != "":
        with pytest.raises(ServiceError):
            Answering({"uploadId": given}).storage.create_multipart_upload(*WHERE, {}, {})
