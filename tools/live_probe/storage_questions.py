"""What is asked of Object Storage; each function gives the answers to one group of questions."""

import base64
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from ocihaul.documents import DocumentError, object_of, read_object, text
from ocihaul.emulator.settings import PAR_HEADERS
from ocihaul.redaction import hold_access_uri
from ocihaul.storage.client import OpenUpload
from ocihaul.storage.names import bucket_path, object_path, par_path, upload_path
from ocihaul.storage.values import SseCustomerKey
from ocihaul.transport.message import Answer
from tools.live_probe.wire import UnclearError, Wire, code, need

MIB = 2**20
Answers = dict[str, object]
Headers = Mapping[str, str]
#: The etag that no object has.
_OTHER_ETAG = "00000000-0000-0000-0000-000000000000"
#: Of no body that is sent here: base64 of the MD5 of nothing.
_OTHER_MD5 = base64.b64encode(hashlib.md5(b"", usedforsecurity=False).digest()).decode()
_CRC32C = {"opc-checksum-algorithm": "CRC32C"}
_REFUSED = (400, 409, 412)
#: Seconds until a PAR that is new or deleted is so everywhere.
_SETTLING = 10
#: Requests of the question about the rate, at most, and in a second.
_RATE_TRIES, _RATE_PACE = 100, 50.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """The scratch bucket, and how to reach it. `patience`: seconds until silence is an answer."""

    wire: Wire
    namespace: str
    name: str
    patience: float

    def path(self, name: str) -> str:
        """Of an object."""
        return object_path(self.namespace, self.name, name)

    def upload_path(self, name: str) -> str:
        """Of a multipart upload."""
        return upload_path(self.namespace, self.name, name)

    def put(self, name: str, body: bytes = b"x", headers: Headers | None = None) -> Answer:
        """PutObject."""
        return self.wire.send("PUT", self.path(name), headers=headers, body=body)

    def head(self, name: str, headers: Headers | None = None) -> Answer:
        """HeadObject."""
        return self.wire.send("HEAD", self.path(name), headers=headers)

    def begin(self, name: str, headers: Headers | None = None) -> str:
        """CreateMultipartUpload; returns the id."""
        path = f"{bucket_path(self.namespace, self.name)}/u"
        answer = self.wire.send("POST", path, headers=headers, document={"object": name})
        return _text(need(answer, "CreateMultipartUpload"), "uploadId")

    def part(
        self, name: str, upload: str, number: int, body: bytes, headers: Headers | None = None
    ) -> Answer:
        """UploadPart."""
        query = {"uploadId": upload, "uploadPartNum": str(number)}
        return self.wire.send(
            "PUT", self.upload_path(name), query=query, headers=headers, body=body
        )

    def commit(
        self, name: str, upload: str, etags: Sequence[str], headers: Headers | None = None
    ) -> Answer:
        """CommitMultipartUpload of parts 1, 2, …"""
        parts = [{"partNum": number, "etag": etag} for number, etag in enumerate(etags, 1)]
        return self.wire.send(
            "POST",
            self.upload_path(name),
            query={"uploadId": upload},
            headers=headers,
            document={"partsToCommit": parts, "partsToExclude": []},
        )

    def abort(self, name: str, upload: str) -> None:
        """AbortMultipartUpload."""
        query = {"uploadId": upload}
        need(self.wire.send("DELETE", self.upload_path(name), query=query), "AbortMultipartUpload")


def _text(answer: Answer, key: str) -> str:
    try:
        return text(object_of(read_object(answer.body)), key)
    except DocumentError:
        raise UnclearError(f"an answer without {key}") from None


# --- bodies


def ask_expect(bucket: Bucket) -> Answers:
    """Whether `100 Continue` is sent before the body."""
    body = bytes(64 * 1024)
    talk = bucket.wire.talk()
    try:
        headers = {"expect": "100-continue"}
        talk.send(bucket.wire.head("PUT", bucket.path("expect"), headers, len(body)))
        heard = talk.hear(bucket.patience)
        if heard is not None and not heard.is_interim:
            raise UnclearError(f"PutObject with Expect: {heard.status}")
        sent = heard is not None and heard.status == 100
        talk.send(body)
        heard = talk.hear(60.0)
        if heard is not None and heard.is_interim:
            heard = talk.hear(60.0)
        if heard is None or heard.status != 200:
            raise UnclearError(f"PutObject: {heard.status if heard else 'no answer'}")
        return {"sends_100_continue": sent}
    finally:
        talk.close()


def ask_refusal(bucket: Bucket) -> Answers:
    """When a body is refused that is on its way, and what becomes of the rest of it."""
    need(bucket.put("refusal"), "PutObject")
    body = bytes(2 * MIB)
    first = 64 * 1024
    wire, talk = bucket.wire, bucket.wire.talk()
    try:
        condition = {"if-none-match": "*"}
        talk.send(wire.head("PUT", bucket.path("refusal"), condition, len(body)) + body[:first])
        heard = talk.hear(bucket.patience)
        early = heard is not None
        talk.send(body[first:])
        heard = heard or talk.hear(60.0)
        if heard is None or heard.status != 412:
            raise UnclearError(f"PutObject: {heard.status if heard else 'no answer'}")
        if not early:
            return {"refusal_comes": "after the body"}
        announced = heard.headers.get("connection", "").lower() == "close"
        talk.send(wire.head("GET", "/n"))
        again = talk.hear(max(bucket.patience, 10.0))
        if again is not None:
            return {"refusal_comes": "early", "refused_body": "drained"}
        return {
            "refusal_comes": "early",
            "refused_body": "closed",
            "close_announced": announced,
        }
    finally:
        talk.close()


# --- uploads in parts


def _stored(bucket: Bucket, name: str, sizes: Sequence[int]) -> bool:
    """Whether parts of these sizes become an object; what a refusal leaves is aborted."""
    upload = bucket.begin(name)
    etags = []
    for number, size in enumerate(sizes, 1):
        answer = need(bucket.part(name, upload, number, bytes(size)), "UploadPart", 200, *_REFUSED)
        if answer.status != 200:
            bucket.abort(name, upload)
            return False
        etags.append(answer.headers.get("etag", ""))
    answer = need(bucket.commit(name, upload, etags), "CommitMultipartUpload", 200, *_REFUSED)
    if answer.status != 200:
        bucket.abort(name, upload)
    return answer.status == 200


def ask_parts(bucket: Bucket) -> Answers:
    """The smallest part that may be followed by another, of 2, 5 and 10 MiB, and unequal ones."""
    for size in (2 * MIB, 5 * MIB, 10 * MIB):
        if _stored(bucket, "parts", [size, 1]):
            unequal = _stored(bucket, "parts", [size, size + MIB, 1])
            return {"smallest_part": size, "unequal_parts": unequal}
    raise UnclearError("not even a part of 10 MiB was taken")


def _one_part(bucket: Bucket, name: str, part_headers: Headers, headers: Headers) -> list[Answer]:
    """The answers to UploadPart, commit and HEAD of an upload of one part."""
    upload = bucket.begin(name, headers)
    part = need(bucket.part(name, upload, 1, b"part", part_headers), "UploadPart")
    committed = need(
        bucket.commit(name, upload, [part.headers.get("etag", "")]), "CommitMultipartUpload"
    )
    return [part, committed, need(bucket.head(name), "HeadObject")]


def ask_checksums(bucket: Bucket) -> Answers:
    """Where a CRC32C comes back: of parts that declared one, and of those that did not."""
    told = [
        ["opc-content-crc32c" in each.headers for each in _one_part(bucket, name, given, given)]
        for name, given in (("declared", _CRC32C), ("undeclared", {}))
    ]
    places = ("part", "commit", "head")
    wrong = bucket.put("wrong", headers={"content-md5": _OTHER_MD5})
    return {
        "declared_crc32c_told": all(told[0]),
        "undeclared_crc32c": [
            place for place, is_told in zip(places, told[1], strict=True) if is_told
        ],
        "wrong_checksum_refused": need(wrong, "PutObject", 200, 400).status == 400,
    }


def ask_commit(bucket: Bucket) -> Answers:
    """Which preconditions count at a commit, and whether it may leave a part out in silence."""
    need(bucket.put("commit"), "PutObject")
    heeds = []
    for header, value in (("if-match", _OTHER_ETAG), ("if-none-match", "*")):
        upload = bucket.begin("commit")
        part = need(bucket.part("commit", upload, 1, b"part"), "UploadPart")
        etags = [part.headers.get("etag", "")]
        answer = bucket.commit("commit", upload, etags, {header: value})
        if need(answer, "CommitMultipartUpload", 200, 412).status == 412:
            heeds.append(header)
            bucket.abort("commit", upload)
    upload = bucket.begin("unlisted")
    parts = [need(bucket.part("unlisted", upload, n, b"part"), "UploadPart") for n in (1, 2)]
    answer = bucket.commit("unlisted", upload, [parts[0].headers.get("etag", "")])
    refused = need(answer, "CommitMultipartUpload", 200, *_REFUSED).status != 200
    if refused:
        bucket.abort("unlisted", upload)
    return {"commit_heeds": heeds, "unlisted_parts_refused": refused}


def ask_unknown_upload(bucket: Bucket) -> Answers:
    """The codes for an upload that is not there any more."""
    upload = bucket.begin("unknown")
    bucket.abort("unknown", upload)
    part = need(bucket.part("unknown", upload, 1, b"part"), "UploadPart", 404)
    commit = need(bucket.commit("unknown", upload, [_OTHER_ETAG]), "CommitMultipartUpload", 404)
    codes = code(part), code(commit)
    if None in codes:
        raise UnclearError("a 404 without a code")
    return {"unknown_upload_at_part": codes[0], "unknown_upload_at_commit": codes[1]}


# --- answers


def ask_answers(bucket: Bucket) -> Answers:
    """Which answers have no opc-request-id, and what a customer key does where none is needed."""
    need(bucket.put("answers", b"twelve bytes"), "PutObject")
    head = need(bucket.head("answers"), "HeadObject")
    ranged = bucket.wire.send("GET", bucket.path("answers"), headers={"range": "bytes=0-3"})
    need(ranged, "GetObject", 206)
    without = [
        name
        for name, answer in (("head", head), ("206", ranged))
        if "opc-request-id" not in answer.headers
    ]
    key = SseCustomerKey.from_text(base64.b64encode(bytes(range(32))).decode(), where="the probe")
    keyed = need(bucket.head("answers", key.headers()), "HeadObject", 200, 400, 403, 404, 409)
    ignored = keyed.status == 200
    return {
        "no_request_id": without,
        "unneeded_customer_key": "ignored" if ignored else "refused",
    }


def ask_rate(bucket: Bucket) -> Answers:
    """How many requests a second are taken, as far as a hundred in two seconds can tell."""
    time.sleep(1.1)  # what was asked before does not count
    taken: list[float] = []
    for _ in range(_RATE_TRIES):
        began = time.monotonic()
        answer = bucket.wire.send("GET", "/n", tries=1)
        now = time.monotonic()
        if answer.status == 429:
            return {"rate_limit": sum(each > now - 1 for each in taken)}
        need(answer, "GetNamespace")
        taken.append(began)
        time.sleep(max(0.0, began + 1 / _RATE_PACE - now))
    return {"rate_limit": "not reached"}


# --- pre-authenticated requests


@dataclass(frozen=True, slots=True)
class Par:
    """One that was made here; `uri` is the path that is the right."""

    par_id: str
    uri: str


def _par(bucket: Bucket, access_type: str, *, listing: bool = False) -> Par:
    document = {
        "name": "probe",
        "accessType": access_type,
        "timeExpires": (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds"),
    }
    if listing:
        document["bucketListingAction"] = "ListObjects"
    if not access_type.startswith("Any"):
        document["objectName"] = "par"
    path = f"{bucket_path(bucket.namespace, bucket.name)}/p"
    answer = need(
        bucket.wire.send("POST", path, document=document), "CreatePreauthenticatedRequest"
    )
    uri = _text(answer, "accessUri")
    hold_access_uri(uri)
    return Par(_text(answer, "id"), uri)


def _once_settled(bucket: Bucket, uri: str, wanted: Callable[[int], bool]) -> Answer:
    """The answer to GET, asked again for a while: a new or a deleted PAR may not be known yet."""
    for _ in range(_SETTLING):
        answer = bucket.wire.send("GET", uri, signed=False)
        if wanted(answer.status):
            break
        time.sleep(1.0)
    return answer


def ask_par_lists(bucket: Bucket) -> Answers:
    """What can be listed through a PAR: objects, and the parts of an upload."""
    any_par = _par(bucket, "AnyObjectReadWrite", listing=True)
    wire = bucket.wire
    objects = wire.send("GET", any_par.uri, signed=False)
    headers = {"opc-multipart": "true"}
    answer = wire.send("PUT", f"{any_par.uri}par", headers=headers, body=b"", signed=False)
    need(answer, "CreateMultipartUpload by PAR")
    # Only its path counts: nothing is sent to another host.
    uri = urlsplit(_text(answer, "accessUri")).path
    upload = OpenUpload(_text(answer, "uploadId"), uri)
    part = wire.send("PUT", f"{upload.access_uri}1", body=b"part", signed=False)
    need(part, "UploadPart by PAR")
    parts = wire.send("GET", upload.access_uri, signed=False)
    wire.send("DELETE", upload.access_uri, signed=False)
    return {
        "par_lists_objects": need(objects, "ListObjects by PAR", 200, 401, 403, 404).status == 200,
        "par_lists_parts": need(parts, "GET by PAR", 200, 400, 401, 403, 404, 405).status == 200,
    }


def ask_par_ignores(bucket: Bucket) -> Answers:
    """Which headers of a PutObject do nothing on a PAR."""
    par = _par(bucket, "ObjectReadWrite")
    sent = {
        "if-match": _OTHER_ETAG,
        "if-none-match": "*",
        "content-md5": _OTHER_MD5,
        "storage-tier": "InfrequentAccess",
        "opc-checksum-algorithm": "CRC32C",
    }
    return {
        "par_ignores": [each for each in PAR_HEADERS if _is_ignored(bucket, par, each, sent[each])]
    }


def _is_ignored(bucket: Bucket, par: Par, header: str, value: str) -> bool:
    need(bucket.put("par"), "PutObject")
    answer = bucket.wire.send("PUT", par.uri, headers={header: value}, body=b"by PAR", signed=False)
    if header in {"if-match", "if-none-match", "content-md5"}:
        return need(answer, "PutObject by PAR", 200, 400, 412).status == 200
    need(answer, "PutObject by PAR", 200, 400)
    if answer.status == 400:
        return False
    stored = need(bucket.head("par"), "HeadObject").headers
    if header == "storage-tier":
        return stored.get("storage-tier") != value
    return "opc-content-crc32c" not in {**answer.headers, **stored}


def ask_par_refusals(bucket: Bucket) -> Answers:
    """What a PAR is refused with that is gone, and one that does not allow the operation."""
    need(bucket.put("par"), "PutObject")
    par = _par(bucket, "ObjectRead")
    wire = bucket.wire
    need(_once_settled(bucket, par.uri, lambda status: status == 200), "GetObject by PAR")
    misuse = wire.send("PUT", par.uri, body=b"x", signed=False)
    path = par_path(bucket.namespace, bucket.name, par.par_id)
    need(wire.send("DELETE", path), "DeletePreauthenticatedRequest")
    gone = _once_settled(bucket, par.uri, lambda status: status != 200)
    return {
        "par_refusal": need(gone, "GetObject by PAR", 401, 403, 404).status,
        "par_misuse_refusal": need(misuse, "PutObject by PAR", 401, 403, 404).status,
    }
