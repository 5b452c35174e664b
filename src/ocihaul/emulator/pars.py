"""Pre-authenticated requests: what they are, and what each lets one do."""

import secrets
import time
from dataclasses import dataclass, field
from urllib.parse import quote

#: Access type → (reads, writes). For the Any… types the object's name is a prefix, or nothing.
ACCESS_TYPES = {
    "ObjectRead": (True, False),
    "ObjectWrite": (False, True),
    "ObjectReadWrite": (True, True),
    "AnyObjectRead": (True, False),
    "AnyObjectWrite": (False, True),
    "AnyObjectReadWrite": (True, True),
}
LISTING_ACTIONS = ("Deny", "ListObjects")


@dataclass(frozen=True, slots=True, kw_only=True)
class Par:
    """One pre-authenticated request. Times are epoch seconds. Who knows `secret` may use it."""

    name: str
    access_type: str
    expires: float
    object_name: str | None = None
    listing: str | None = None
    created: float = field(default_factory=time.time)
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)
    #: The beginning of its id. Never a dash: command lines would take it for an option.
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def par_id(self) -> str:
        """What the owner calls it by; it ends with the object's name and may have slashes."""
        return f"{self.nonce}:{self.object_name or ''}"

    def access_uri(self, namespace: str, bucket: str) -> str:
        """The path of its URL; that of an Any… type ends where the object's name begins."""
        name = "" if self.any_object else quote(self.object_name or "", safe="/")
        return f"{self.prefix}/n/{quote(namespace)}/b/{quote(bucket)}/o/{name}"

    @property
    def prefix(self) -> str:
        """What all its paths begin with."""
        return f"/p/{self.secret}"

    @property
    def any_object(self) -> bool:
        """Whether it is for more than one object."""
        return self.access_type.startswith("Any")

    def allows(self, name: str, *, write: bool) -> bool:
        """Whether one may read or write this object through it."""
        if not ACCESS_TYPES[self.access_type][write]:
            return False
        wanted = self.object_name or ""
        return name.startswith(wanted) if self.any_object else name == wanted

    @property
    def lists(self) -> bool:
        """Whether one may list objects through it."""
        return self.any_object and self.listing == "ListObjects"
