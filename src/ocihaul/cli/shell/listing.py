"""What is at an address: the object, what is below a prefix, or nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from ocihaul.cli.shell.uri import ObjectUri
from ocihaul.errors import OcihaulError
from ocihaul.storage.values import ListedObject, Selection

if TYPE_CHECKING:
    from ocihaul.client import Client

_FIELDS = "name,size,timeModified"


@dataclass(frozen=True, slots=True)
class Found:
    """What an address stands for: an object of that name, a directory, or both."""

    object: ListedObject | None
    is_directory: bool

    @property
    def is_object(self) -> bool:
        """Whether there is an object of that name."""
        return self.object is not None


def look(client: "Client", uri: ObjectUri) -> Found:
    """Find out what is there, with a list of one each. Raises OcihaulError for nothing."""
    found = None
    if not uri.is_directory:
        listed = _first(client, uri, uri.name)
        found = next((each for each in listed if each.name == uri.name), None)
    # An empty bucket is a directory, too: the list would say that there is no such bucket.
    is_directory = bool(_first(client, uri, uri.prefix)) or not uri.name
    if found is None and not is_directory:
        raise OcihaulError(
            f"{uri}: there is no such object, and nothing below that prefix",
            hint=f"Look with: ocihaul ls {uri.bucket and ObjectUri(uri.bucket, uri.namespace, '')}",
        )
    return Found(found, is_directory)


def _first(client: "Client", uri: ObjectUri, prefix: str) -> tuple[ListedObject, ...]:
    where = (uri.namespace or client.namespace, uri.bucket)
    selection = Selection(prefix=prefix or None, fields=_FIELDS)
    return next(iter(client.storage.list_objects(*where, selection, page_size=1))).objects


def objects_below(client: "Client", uri: ObjectUri) -> Iterator[ListedObject]:
    """All objects whose names begin with the address's prefix, in the order of their names."""
    where = (uri.namespace or client.namespace, uri.bucket)
    selection = Selection(prefix=uri.prefix or None, fields=_FIELDS)
    for page in client.storage.list_objects(*where, selection):
        yield from page.objects


def entries_in(client: "Client", uri: ObjectUri) -> Iterator[ListedObject]:
    """What is directly in a directory; prefixes have names that end with "/", and no size."""
    where = (uri.namespace or client.namespace, uri.bucket)
    selection = Selection(prefix=uri.prefix or None, delimiter="/", fields=_FIELDS)
    for page in client.storage.list_objects(*where, selection):
        prefixes = (ListedObject(name) for name in page.prefixes)
        yield from sorted(chain(page.objects, prefixes), key=lambda each: each.name.encode())
