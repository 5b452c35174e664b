"""`oci://bucket@namespace/name`: the address of an object, prefix or bucket, as ocifs has it."""

from dataclasses import dataclass, replace

from ocihaul.errors import UsageError

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
                if is_uri(text)
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
