"""The bucket that a run makes and removes, whatever happens in between."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ocihaul.client import Client
from ocihaul.errors import ServiceError
from ocihaul.printing import say

PREFIX = "ocihaul-probe-"


def new_name() -> str:
    """A name that no other bucket has."""
    return f"{PREFIX}{secrets.token_hex(8)}"


@contextmanager
def scratch_bucket(client: Client, name: str, compartment: str) -> Iterator[None]:
    """Make the bucket, and remove it with all that is in it, also after an interrupt."""
    made = False
    try:
        client.storage.create_bucket(client.namespace, {"name": name, "compartmentId": compartment})
        made = True
        yield
    finally:
        try:
            remove_bucket(client, name, must_exist=made)
        except BaseException:
            again = f"python -m tools.live_probe --remove {name}"
            say(sys.stderr, f"{name} is not removed; with the same options: {again}")
            raise


def remove_bucket(client: Client, name: str, *, must_exist: bool) -> None:
    """Remove uploads, pre-authenticated requests and objects, then the bucket.

    Raises ServiceError where something stays; without `must_exist` a bucket that is gone is fine.
    """
    try:
        _empty(client, name)
    except ServiceError as error:
        if error.status != 404:
            raise
    try:
        client.storage.delete_bucket(client.namespace, name)
    except ServiceError as error:
        if error.status != 404 or must_exist:
            raise


def _empty(client: Client, name: str) -> None:
    storage, namespace = client.storage, client.namespace
    for upload in list(storage.list_multipart_uploads(namespace, name)):
        storage.abort_multipart_upload(namespace, name, upload.name, upload_id=upload.upload_id)
    for par in list(storage.list_preauthenticated_requests(namespace, name)):
        storage.delete_preauthenticated_request(namespace, name, par.par_id)
    for listed in list(client.list_objects(name)):
        storage.delete_object(namespace, name, listed.name)
