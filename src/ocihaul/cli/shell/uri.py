"""An object's address, `oci://bucket@namespace/name`, as ocifs has it: read and looked at.

What is at an address is the object, what is below a prefix, or nothing. Of several addresses in one
command, what goes wrong with one does not stop the others, and errors speak of addresses.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ocihaul.cli.error_text import failure_lines
from ocihaul.cli.invocation import Invocation
from ocihaul.cli.process import chain, code_of_one, exit_code, is_of_one, worst
from ocihaul.errors import OcihaulError, ServiceError, UsageError

if TYPE_CHECKING:
    from ocihaul.client import Client
    from ocihaul.storage.values import ListedObject


SCHEME = "oci://"
_FORM = "oci://BUCKET[@NAMESPACE][/NAME]"


@dataclass(frozen=True, slots=True)
class ObjectUri:
    """Where an object is; `namespace` is None for the tenancy's own. Names are taken as they are.

    An empty `name` is the whole bucket; one that ends with "/" is what is below that prefix.
    """

    bucket: str
    namespace: str | None
    name: str

    @classmethod
    def parse(cls, text: str) -> "ObjectUri":
        """Read it. Raises UsageError."""
        place, _, name = text.removeprefix(SCHEME).partition("/")
        bucket, at, namespace = place.partition("@")
        if not is_uri(text) or not bucket or (at and not namespace):
            hint = (
                None
                if is_uri(text) or not text
                else f"Write it as {SCHEME}{text.removeprefix('oci:').lstrip('/')}"
            )
            raise UsageError(f"{text!r} is no address of an object ({_FORM})", hint=hint)
        return cls(bucket, namespace or None, name)

    def __str__(self) -> str:
        """As `parse` reads it."""
        where = self.bucket if self.namespace is None else f"{self.bucket}@{self.namespace}"
        return f"{SCHEME}{where}/{self.name}"

    @property
    def is_directory(self) -> bool:
        """Whether it can only be a bucket or a prefix."""
        return not self.name or self.name.endswith("/")

    @property
    def last(self) -> str:
        """The last segment of the name, without a slash; empty for a bucket."""
        return self.name.rstrip("/").rpartition("/")[2]

    @property
    def prefix(self) -> str:
        """What the names of the objects below it begin with."""
        return self.name if self.is_directory else f"{self.name}/"

    def below(self, name: str) -> "ObjectUri":
        """The address of `name` in this directory."""
        return replace(self, name=self.prefix + name)


def is_uri(text: str) -> bool:
    """Whether it is meant as an address of an object, not as a path."""
    return text.startswith(SCHEME)


_FIELDS = "name,size,timeModified"


@dataclass(frozen=True, slots=True)
class Found:
    """What an address stands for: an object of that name, a directory, or both."""

    object: "ListedObject | None"
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


def look_at_folder(client: "Client", uri: ObjectUri) -> Found:
    """The same for a name with "/" at its end, which web consoles make as an object of no bytes.

    It is a directory where anything else is below it. Raises OcihaulError for nothing.
    """
    listed = _first(client, uri, uri.name, count=2)
    if not listed:
        return look(client, uri)
    found = next((each for each in listed if each.name == uri.name), None)
    return Found(found, is_directory=any(each.name != uri.name for each in listed))


def _first(
    client: "Client", uri: ObjectUri, prefix: str, *, count: int = 1
) -> "tuple[ListedObject, ...]":
    from ocihaul.storage.values import Selection

    where = (uri.namespace or client.namespace, uri.bucket)
    selection = Selection(prefix=prefix or None, fields=_FIELDS)
    pages = client.storage.list_objects(*where, selection, page_size=count)
    return next((page.objects for page in pages if page.objects), ())  # a page may be empty


#: Gets what is wrong with an entry of a list that has no usable name.
OnOdd = Callable[[str], object]


def objects_below(client: "Client", uri: ObjectUri, on_odd: OnOdd) -> "Iterator[ListedObject]":
    """All objects whose names begin with the address's prefix, in the order of their names."""
    from ocihaul.storage.values import Selection

    where = (uri.namespace or client.namespace, uri.bucket)
    selection = Selection(prefix=uri.prefix or None, fields=_FIELDS)
    for page in client.storage.list_objects(*where, selection):
        for reason in page.odd:
            on_odd(reason)
        yield from page.objects


def entries_in(client: "Client", uri: ObjectUri, on_odd: OnOdd) -> "Iterator[ListedObject]":
    """What is directly in a directory; prefixes have names that end with "/", and no size."""
    from ocihaul.storage.values import ListedObject, Selection

    where = (uri.namespace or client.namespace, uri.bucket)
    selection = Selection(prefix=uri.prefix or None, delimiter="/", fields=_FIELDS)
    for page in client.storage.list_objects(*where, selection):
        for reason in page.odd:
            on_odd(reason)
        prefixes = (ListedObject(name) for name in page.prefixes)
        yield from sorted(
            itertools.chain(page.objects, prefixes), key=lambda each: each.name.encode()
        )


#: Parameters, as hints name them, by what an address has for them.
_IN_ADDRESS = {
    "`bucket`": "the bucket",
    "`namespace`": "the namespace",
    "another `name`": "a name at the end of the target",
    "`name`": "the object's name",
}
#: The same in the texts of `os object put` and `get`.
_FLAG = "--file: "
_PIPE, _OWN_PIPE = "ocihaul os object put --file - …", "ocihaul cp - …"
_NOT_FOUND = "Check the bucket and the namespace in the address, and `region`."


def in_address_words(error: BaseException) -> None:
    """Let an error speak of addresses and paths: these commands have no flags for names."""
    for link in chain(error):
        if not isinstance(link, OcihaulError):
            continue
        hint = link.hint or ""
        if not hint and isinstance(link, ServiceError) and link.status == 404:
            hint = _NOT_FOUND
        for parameter, words in _IN_ADDRESS.items():
            hint = hint.replace(parameter, words)
        hint = hint.replace(_PIPE, _OWN_PIPE)
        link.message = link.message.removeprefix(_FLAG)
        link.hint = hint.split("\n") if hint else None


def run_command(invocation: Invocation, run: Callable[[Invocation], int]) -> int:
    """Run one of these commands; its errors are in the words of addresses."""
    try:
        return run(replace(invocation, reword=in_address_words))
    except OcihaulError as error:
        in_address_words(error)
        raise


def for_each(
    invocation: Invocation, uris: Iterable[ObjectUri], work: Callable[[ObjectUri], int]
) -> int:
    """Do `work` for each address; returns the worst exit status.

    An error of a single address is raised; of several, the errors that are about one are said, and
    the others are gone on with.
    """
    every = list(uris)
    if len(every) == 1:
        return work(every[0])
    codes = []
    for uri in every:
        try:
            codes.append(work(uri))
        except OcihaulError as error:
            if not is_of_one(error, one_bucket=len({(u.namespace, u.bucket) for u in every}) == 1):
                raise
            in_address_words(error)
            invocation.tell(*failure_lines(str(uri), error))
            codes.append(code_of_one(exit_code(error)))
    return worst(codes)
