"""A request as a handler sees it, and which operation it asks for."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from ocihaul.emulator.auth import Signatory
from ocihaul.emulator.blobs import Intake
from ocihaul.emulator.responses import Answer, ApiError
from ocihaul.emulator.state import Service

_MAX_JSON = 8 * 2**20


@dataclass(slots=True)
class Call:
    """One request: its head, and `receive` to take its body in.

    A handler that raises before it calls `receive` answers from the headers alone.
    """

    method: str
    target: str
    headers: dict[str, str]
    content_length: int
    receive: Callable[[Callable[[memoryview], object]], None]
    path: str = field(init=False)
    query: dict[str, str] = field(init=False)
    parameters: dict[str, str] = field(default_factory=dict)
    signatory: Signatory | None = None
    #: The signature covers the hash of the body.
    body_signed: bool = False

    def __post_init__(self) -> None:
        self.path, _, query = self.target.partition("?")
        self.query = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            # All values count of a parameter that is repeated.
            self.query[name] = f"{self.query[name]},{value}" if name in self.query else value

    @property
    def namespace(self) -> str:
        """From the path."""
        return self.parameters.get("namespace", "")

    @property
    def bucket(self) -> str:
        """From the path."""
        return self.parameters.get("bucket", "")

    @property
    def name(self) -> str:
        """The object's name, from the path."""
        return self.parameters.get("object", "")

    def integer(self, name: str, default: int | None = None) -> int | None:
        """A number from the query; 400 if it is none."""
        text = self.query.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise ApiError(400, "InvalidParameter", f"'{name}' is not a number")
        return int(text)

    def take_in(self, intake: Intake) -> None:
        """Receive the body into `intake`; on any failure it is dropped."""
        try:
            self.receive(intake.write)
            intake.close()
        except BaseException:
            intake.drop()
            raise

    def drain(self) -> None:
        """Receive a body that says nothing."""
        self._small_body()

    def form(self) -> dict[str, str]:
        """Receive the body as the fields of an HTML form."""
        return dict(parse_qsl(self._small_body().decode("utf-8", "replace")))

    def json(self) -> dict[str, Any]:
        """Receive the body as a JSON object; 400 if it is none."""
        try:
            value = json.loads(self._small_body())
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise ApiError(400, "InvalidParameter", "The body is not a JSON object")
        return value

    def _small_body(self) -> bytes:
        if self.content_length > _MAX_JSON:
            raise ApiError(413, "RequestEntityTooLarge", "The request body is too large")
        data = bytearray()
        self.receive(data.extend)
        return bytes(data)


Handler = Callable[[Service, Call], Answer]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API. `path` is a pattern whose groups become the parameters."""

    name: str
    method: str
    path: re.Pattern[str]
    handler: Handler
    #: The body need not be covered by the signature (PutObject, UploadPart).
    bare_body: bool = False
    #: Anybody may ask, unsigned.
    public: bool = False
    #: Only for requests in which this header is "true".
    header: str | None = None


def find(
    operations: tuple[Operation, ...], method: str, path: str, headers: Mapping[str, str]
) -> tuple[Operation | None, Mapping[str, str]]:
    """The operation that a request asks for, with what its path says."""
    for operation in operations:
        match = operation.path.fullmatch(path)
        if operation.header and headers.get(operation.header, "").lower() != "true":
            continue
        if match and operation.method == method:
            return operation, {
                name: unquote(value) for name, value in match.groupdict().items() if value
            }
    return None, {}
