"""A file and an object against the receipt of their upload."""

import threading
from dataclasses import dataclass
from pathlib import Path

from ocihaul.events import Listener, ignore
from ocihaul.library.place import Place
from ocihaul.storage.types import SseCustomerKey
from ocihaul.transfer.receipts.verifying import (
    FileVerdict,
    ObjectVerdict,
    load_receipt,
    verify_file,
    verify_object,
)


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a file and an object since their receipt; None: not looked at."""

    file: FileVerdict | None
    object: ObjectVerdict | None

    @property
    def good(self) -> bool:
        """Something was looked at, and all of it is as it was stored."""
        looked_at = [each for each in (self.file, self.object) if each is not None]
        return bool(looked_at) and all(each.good for each in looked_at)


def verify(
    receipt: str | Path,
    *,
    file: str | Path | None = None,
    stored: bool = True,
    profile: str | None = None,
    config_file: str | Path | None = None,
    auth: str | None = None,
    region: str | None = None,
    endpoint: str | None = None,
    auth_endpoint: str | None = None,
    sse_customer_key: SseCustomerKey | None = None,
    listener: Listener = ignore,
    stop: threading.Event | None = None,
) -> Verification:
    """Compare a local file and the object on the service with the receipt of their upload.

    Only what is asked for is looked at: `file` is read once, and for the `stored` object one
    HeadObject is made, which an archived object answers, too. The request goes where the
    configuration leads, not to the receipt's endpoint.

    Raises ReceiptError when the receipt cannot be read, SourceError and SourceChanged, UsageError
    when a customer's key is missing; ConfigError, SessionError, ServiceError, NetworkError.
    """
    proof = load_receipt(Path(receipt))
    stop = stop or threading.Event()
    about_object: ObjectVerdict | None = None
    if stored:
        place = Place(
            profile=profile,
            config_file=config_file,
            auth=auth,
            region=region,
            endpoint=endpoint,
            auth_endpoint=auth_endpoint,
        )
        with place.storage(("verify",), listener, stop) as storage:
            about_object = verify_object(proof, storage, key=sse_customer_key)
    about_file = verify_file(proof, Path(file), stop=stop) if file is not None else None
    return Verification(about_file, about_object)
