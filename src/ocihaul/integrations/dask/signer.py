"""A signer of the official SDK that may be pickled: it is the name of a shared session."""

from typing import TYPE_CHECKING, Any

from ocihaul.integrations.oci_sdk import SessionSigner

if TYPE_CHECKING:
    from ocihaul.integrations.dask.messages import SharedSession


class SharedSigner(SessionSigner):
    """Signs on every worker with what the shared session holds there."""

    def __init__(self, shared: "SharedSession", *, region: str | None = None) -> None:
        super().__init__(shared, region=region)
        self._shared = shared

    def __repr__(self) -> str:
        return f"SharedSigner({self._shared.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedSigner.of, (self._shared, getattr(self, "region", None))

    def __dask_tokenize__(self) -> tuple[str, str]:
        """Signers of one shared session are alike."""
        return type(self).__qualname__, self._shared.name

    @classmethod
    def of(cls, shared: "SharedSession", region: str | None) -> "SharedSigner":
        """What is left of one that was pickled."""
        return cls(shared, region=region)
