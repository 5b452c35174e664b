"""The session as the files have it, to sign a question with: nothing is renewed, nothing waits."""

import time

from ocihaul.config import Settings
from ocihaul.session.credential import Credential
from ocihaul.session.session import store_for
from ocihaul.transport.message import StopSign

#: A token with less life than this, seconds, counts as expired.
_LEAST = 5.0


class PresentCredential:
    """A credential provider for what is in the files now; a 401 is final."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def credential(self, cancel: StopSign | None = None) -> Credential:  # noqa: ARG002  a protocol
        """Return it, the same each time."""
        return self._credential

    def handle_unauthorized(
        self,
        credential: Credential,  # noqa: ARG002  a protocol
        operation: str,  # noqa: ARG002  a protocol
        cancel: StopSign | None = None,  # noqa: ARG002  a protocol
    ) -> bool:
        """Return False: there is no other."""
        return False


def present_credential(settings: Settings) -> PresentCredential | None:
    """What the profile's files sign with; None where their token has expired.

    Raises CredentialError when they are missing or broken.
    """
    pair = store_for(settings).read_once()
    if pair.token.expires_at - time.time() < _LEAST:
        return None
    return PresentCredential(Credential.of_token(pair.key, pair.token, generation=1))
