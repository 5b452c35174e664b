"""How every operation of Object Storage is called: endpoint, checks, pages, actions."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from ocihaul.errors import ServiceError
from ocihaul.http.client import Call, Client
from ocihaul.storage.listing import PAGE, Document
from ocihaul.storage.names import check_headers, check_text
from ocihaul.storage.paging import pages
from ocihaul.storage.paths import bucket_path
from ocihaul.wire.message import Answer
from ocihaul.wire.origin import Origin

Headers = Mapping[str, str]
T = TypeVar("T")


class Caller:
    """Carries out calls to the Object Storage of one region. Thread-safe.

    `endpoint` gives the base URL for a namespace, or for none (GetNamespace): realm-specific
    endpoints carry the namespace in their host name.
    """

    def __init__(self, client: Client, endpoint: Callable[[str | None], str]) -> None:
        self._client = client
        self._endpoint = endpoint

    def base_url(self, namespace: str | None) -> str:
        """Where requests for this namespace go."""
        return self._endpoint(namespace)

    def _call(self, namespace: str | None, call: Call) -> Answer:
        check_headers(call.headers)
        for name, value in call.query.items():
            check_text(value, name)
        return self._client.call(Origin.parse(self._endpoint(namespace)), call)

    def _pages(
        self,
        namespace: str,
        operation: str,
        path: str,
        query: Mapping[str, str],
        reader: Callable[[Any], T],
    ) -> Iterator[T]:
        """The items of a list whose pages are named by opc-next-page."""

        def ask(name: str | None) -> tuple[list[T], str | None]:
            more = {"limit": str(PAGE)} if name is None else {"limit": str(PAGE), "page": name}
            answer = self._call(namespace, Call(operation, "GET", path, query={**query, **more}))
            items = read(answer, lambda document: [reader(each) for each in document])
            return items, answer.headers.get("opc-next-page")

        for page in pages(ask, operation):
            yield from page

    def _act(
        self,
        namespace: str,
        bucket: str,
        action: str,
        document: Mapping[str, object],
        headers: Headers | None = None,
    ) -> Answer:
        """One of the bucket's actions; operations are called like them."""
        for key, value in document.items():
            if isinstance(value, str):
                check_text(value, key)
        path = f"{bucket_path(namespace, bucket)}/actions/{action}"
        operation = action[0].upper() + action[1:]
        call = Call(operation, "POST", path, headers=headers or {}, document=document)
        return self._call(namespace, call)


def read(answer: Answer, reader: Callable[[Any], T]) -> T:
    """What `reader` makes of the answer's JSON; ServiceError when it is none, or of another shape.

    A proxy or a captive portal may answer 200, too.
    """
    try:
        return reader(json.loads(answer.body))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ServiceError(
            status=answer.status,
            code=None,
            message="the answer is not the JSON that was expected",
            operation="reading an answer",
            headers=answer.headers,
        ) from None


def without_none(given: Mapping[str, object]) -> dict[str, object]:
    """What is given, as a document."""
    return {name: value for name, value in given.items() if value is not None}


def as_document(value: Any) -> Document:
    """`value`, if it is a JSON object; else TypeError."""
    if not isinstance(value, dict):
        raise TypeError("not a JSON object")
    return value
