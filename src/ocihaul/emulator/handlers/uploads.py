"""Multipart uploads: create, upload a part, commit, abort, list."""

import uuid
from typing import Any

from ocihaul.emulator.buckets import Bucket
from ocihaul.emulator.call import Call
from ocihaul.emulator.handlers.common import (
    attributes_from_body,
    check_checksums,
    check_customer_key,
    check_object_name,
    checksum_answer,
    declared_algorithm,
    numbered_page,
    page_number,
    page_size,
    page_token,
    wanted_algorithms,
    written_headers,
)
from ocihaul.emulator.objects import (
    Blob,
    Checksums,
    Part,
    StoredObject,
    Upload,
    check_none_match,
    check_write,
    combine_crc32c,
    digest_of_digests,
)
from ocihaul.emulator.responses import Answer, ApiError, json_answer, timestamp
from ocihaul.emulator.settings import Settings
from ocihaul.emulator.state import Service


def create_upload(service: Service, call: Call) -> Answer:
    """An upload id; nothing is visible yet."""
    body = call.json()
    name = body.get("object")
    name = check_object_name(name)
    check_none_match(call.headers)
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        check_write(bucket.etag_of(name), call.headers)
        attributes = attributes_from_body(call.headers, body, bucket.storage_tier)
        upload = Upload(name=name, attributes=attributes)
        bucket.uploads[upload.upload_id] = upload
    value = _describe(service, bucket, upload)
    return json_answer(value, headers={"location": f"{call.path}/{upload.upload_id}"})


def upload_part(service: Service, call: Call) -> Answer:
    """One part; sent again, it replaces the one of the same number."""
    settings = service.settings
    number = call.integer("uploadPartNum", 0) or 0
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        unknown = settings.unknown_upload_at_part
        upload = bucket.upload(call.name, call.query.get("uploadId"), unknown)
        _check_part(upload, number, call)
    if not 1 <= number <= settings.max_parts:
        message = f"The part number {number} is not in 1..{settings.max_parts}"
        raise ApiError(400, "InvalidUploadPart", message)
    if call.content_length > settings.max_part_size:
        raise ApiError(413, "RequestEntityTooLarge", "The part is larger than 50 GiB")
    check_customer_key(upload.attributes.sse_key_sha256, call.headers)
    declared = declared_algorithm(call.headers) or upload.attributes.algorithm
    algorithms = wanted_algorithms(call.headers) | ({declared} if declared else set())
    intake = service.store.intake(settings, algorithms)
    call.take_in(intake)
    part = Part(number, str(uuid.uuid4()), intake.segment, intake.checksums)
    try:
        check_checksums(settings, call.headers, part.checksums)
        with service.store.lock:
            # It may have been committed or aborted while the body was on its way.
            bucket.upload(call.name, upload.upload_id, unknown)
            _check_part(upload, number, call)
            old = upload.parts.get(number)
            upload.parts[number] = part
    except ApiError:
        intake.drop()
        raise
    if old is not None:
        Blob([old.segment]).retire()
    told = checksum_answer(settings, part.checksums, declared_algorithm(call.headers))
    if "part" in settings.undeclared_crc32c:
        told["opc-content-crc32c"] = part.checksums.value("CRC32C") or ""
    return Answer(headers={"etag": part.etag, **told})


def commit_upload(service: Service, call: Call) -> Answer:
    """Make the object visible from the parts that are named; the rest is thrown away.

    Through a PAR, no body means all parts.
    """
    all_parts = call.content_length == 0 and call.signatory is None
    body = {} if all_parts else call.json()
    settings = service.settings
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        unknown = settings.unknown_upload_at_commit
        upload = bucket.upload(call.name, call.query.get("uploadId"), unknown)
        heeded = {k: v for k, v in call.headers.items() if k not in settings.commit_ignores}
        check_none_match(heeded)
        check_write(bucket.etag_of(call.name), heeded)
        if bucket.versioning != "Enabled":
            bucket.check_retention(bucket.objects.get(call.name), service.now())
        everything = [{"partNum": each.number, "etag": each.etag} for each in upload.parts.values()]
        listed = everything if all_parts else body.get("partsToCommit")
        parts = _chosen(upload, listed, settings)
        if not all_parts and settings.commit_needs_every_part:
            _check_excluded(upload, {part.number for part in parts}, body.get("partsToExclude"))
        told = _whole_headers(settings, upload, parts, "commit")
        stored = StoredObject(
            name=upload.name,
            blob=Blob([part.segment for part in parts]),
            attributes=upload.attributes,
            checksums=Checksums(crc32c=_whole_crc32c(parts)),
            checksum_headers=_whole_headers(settings, upload, parts, "head"),
            part_count=len(parts),
        )
        bucket.put(stored)
        del bucket.uploads[upload.upload_id]
        kept = {part.number for part in parts}
        Blob([p.segment for p in upload.parts.values() if p.number not in kept]).retire()
    return Answer(headers={**written_headers(stored), **told})


def abort_upload(service: Service, call: Call) -> Answer:
    """Throw the upload away with all its parts."""
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        upload = bucket.upload(call.name, call.query.get("uploadId"))
        del bucket.uploads[upload.upload_id]
        Blob([part.segment for part in upload.parts.values()]).retire()
    return Answer(status=204)


def list_parts(service: Service, call: Call) -> Answer:
    """The parts by number, in pages."""
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        upload = bucket.upload(call.name, call.query.get("uploadId"))
        after = page_number(call)
        numbers = sorted(number for number in upload.parts if number > after)
        page = numbers[: page_size(service, call)]
        parts = [upload.parts[number] for number in page]
    values = [
        {"partNumber": part.number, "etag": part.etag, "md5": part.md5 or "", "size": part.size}
        for part in parts
    ]
    more = {"opc-next-page": page_token(str(page[-1]))} if len(page) < len(numbers) else {}
    return json_answer(values, headers=more)


def list_uploads(service: Service, call: Call) -> Answer:
    """The uploads in progress, oldest first, in pages."""
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        uploads = sorted(bucket.uploads.values(), key=lambda upload: upload.created)
        values = [_describe(service, bucket, upload) for upload in uploads]
    return numbered_page(service, call, values)


def _describe(service: Service, bucket: Bucket, upload: Upload) -> dict[str, str]:
    return {
        "namespace": service.store.namespace,
        "bucket": bucket.name,
        "object": upload.name,
        "uploadId": upload.upload_id,
        "timeCreated": timestamp(upload.created),
        "storageTier": upload.attributes.storage_tier,
    }


def _chosen(upload: Upload, listed: Any, settings: Settings) -> list[Part]:
    """The parts to commit, by number; 400 when the list does not fit what was uploaded."""
    if not isinstance(listed, list) or not listed:
        raise ApiError(400, "InvalidUploadPart", "There are no parts to commit")
    if len(listed) > settings.max_parts:
        raise ApiError(400, "InvalidUploadPart", "There are too many parts to commit")
    chosen: dict[int, Part] = {}
    for item in listed:
        if not isinstance(item, dict) or not isinstance(item.get("partNum"), int):
            raise ApiError(400, "InvalidParameter", "partsToCommit is not a list of parts")
        number, etag = int(item["partNum"]), item.get("etag")
        part = upload.parts.get(number)
        if part is None or part.etag != etag or number in chosen:
            message = f"The part {number} with ETag '{etag}' was not uploaded, or is listed twice"
            raise ApiError(400, "InvalidUploadPart", message)
        chosen[number] = part
    parts = [chosen[number] for number in sorted(chosen)]
    small = [part.number for part in parts[:-1] if part.size < settings.min_part_size]
    if small and settings.enforce_min_part_size:
        message = f"The part {small[0]} is smaller than the minimum and not the last"
        raise ApiError(400, "InvalidUploadPart", message)
    if not settings.unequal_parts and len({part.size for part in parts[:-1]}) > 1:
        raise ApiError(400, "InvalidUploadPart", "The parts but for the last differ in size")
    return parts


def _check_part(upload: Upload, number: int, call: Call) -> None:
    """412 when if-match or if-none-match forbid to write over the part that is there."""
    old = upload.parts.get(number)
    check_none_match(call.headers)
    check_write(None if old is None else old.etag, call.headers)


def _check_excluded(upload: Upload, committed: set[int], excluded: Any) -> None:
    """400 unless each part is in exactly one of the two lists."""
    numbers = excluded if isinstance(excluded, list) else []
    if not all(isinstance(number, int) for number in numbers):
        raise ApiError(400, "InvalidParameter", "partsToExclude is not a list of part numbers")
    both = committed & set(numbers)
    if both:
        message = f"The part {min(both)} is both to be committed and to be excluded"
        raise ApiError(400, "InvalidUploadPart", message)
    neither = set(upload.parts) - committed - set(numbers)
    if neither:
        message = f"The part {min(neither)} is neither to be committed nor to be excluded"
        raise ApiError(400, "InvalidUploadPart", message)


def _whole_crc32c(parts: list[Part]) -> int:
    value = 0
    for part in parts:
        value = combine_crc32c(value, part.checksums.crc32c, part.size)
    return value


def _whole_headers(
    settings: Settings, upload: Upload, parts: list[Part], where: str
) -> dict[str, str]:
    """Hashes of hashes, and the CRC32C of the whole, as far as they are told at commit or HEAD."""
    values = {"opc-multipart-md5": digest_of_digests("md5", [p.checksums.md5 for p in parts])}
    algorithm = upload.attributes.algorithm
    if settings.checksums != "never" and algorithm == "SHA256":
        digests = [part.checksums.sha256 for part in parts]
        values["opc-multipart-sha256"] = digest_of_digests("sha256", digests)
    if settings.checksums != "never" and algorithm == "SHA384":
        digests = [part.checksums.sha384 for part in parts]
        values["opc-multipart-sha384"] = digest_of_digests("sha384", digests)
    always = settings.checksums == "always" or where in settings.undeclared_crc32c
    if always or (settings.checksums == "declared" and algorithm == "CRC32C"):
        whole = Checksums(crc32c=_whole_crc32c(parts))
        values["opc-content-crc32c"] = whole.value("CRC32C")
    return {name: value for name, value in values.items() if value is not None}
