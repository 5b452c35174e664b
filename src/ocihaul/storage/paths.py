"""Where buckets, objects, uploads and PARs are, as paths of the API; pure."""

from functools import lru_cache

from ocihaul.storage.names import check_bucket_name, check_object_name, quoted


@lru_cache(maxsize=8)  # all files of a tree go to the same one
def bucket_path(namespace: str, bucket: str) -> str:
    """Of one bucket."""
    check_bucket_name(bucket)
    return f"/n/{quoted(namespace, 'namespace')}/b/{quoted(bucket, 'bucket name')}"


def object_path(namespace: str, bucket: str, name: str) -> str:
    """Of one object."""
    check_object_name(name)
    return f"{bucket_path(namespace, bucket)}/o/{quoted(name, 'object name')}"


def upload_path(namespace: str, bucket: str, name: str) -> str:
    """Of one multipart upload."""
    check_object_name(name)
    return f"{bucket_path(namespace, bucket)}/u/{quoted(name, 'object name')}"


def par_path(namespace: str, bucket: str, par_id: str) -> str:
    """Of one PAR."""
    return f"{bucket_path(namespace, bucket)}/p/{quoted(par_id, 'PAR id')}"
