"""The *mint* rung: an API key opens a session for a public key, with nobody at the keyboard.

`POST {auth}/v1/token/upst/actions/GenerateUpst` with `{"publicKey": PEM,
"sessionExpirationInMinutes": "60"}`, the number as a string, as the stock CLI sends it. The
session lives as long as its one token and cannot be refreshed beyond that, so it is minted anew,
for the same key: whoever holds a copy of the key only needs the new token.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ocihaul.errors import CredentialError, RenewalUnavailable
from ocihaul.session.credential import Authority, Credential
from ocihaul.session.keys import public_pem
from ocihaul.session.ladder import Failed, Outcome, Refused, Renewed
from ocihaul.session.renewal import REFUSALS, AuthService, read_token
from ocihaul.session.token import SessionToken
from ocihaul.transport.message import Answer

TARGET = "/v1/token/upst/actions/GenerateUpst"

#: With 404 an OCI service also says "you may not".
_REFUSALS = REFUSALS | {404}


@dataclass(frozen=True, slots=True)
class Minter:
    """Mints for the session's own key; a rung like any other.

    `signer` is the authority of an API key (the service takes a session's too). `minutes` is the
    life to ask for, passed on as it is; None leaves it to the service.
    """

    service: AuthService
    signer: Authority
    minutes: int | None = None

    def __call__(self, credential: Credential, timeout: float) -> Outcome:
        """A new token for the key of `credential`; at most two calls, each within `timeout`."""
        outcome = mint(
            self.service,
            self.signer.credential(),
            credential.key.public_key(),
            minutes=self.minutes,
            timeout=timeout,
        )
        if isinstance(outcome, Renewed) and outcome.token == credential.token:
            # Taken for a success it would be asked for again at once, and for ever.
            return Failed(f"{self.service.origin} answered with the token that we have")
        return outcome


def mint_or_raise(
    minter: Minter, public_key: RSAPublicKey, *, timeout: float
) -> tuple[SessionToken, str | None]:
    """A token for `public_key`, and the note that came with it.

    Raises CredentialError when the service refuses, RenewalUnavailable when it gives no answer.
    """
    outcome = mint(
        minter.service,
        minter.signer.credential(),
        public_key,
        minutes=minter.minutes,
        timeout=timeout,
    )
    match outcome:
        case Refused(reason):
            raise CredentialError(
                f"no session was minted: {minter.service.origin} answered {reason}",
                hint="Check user, fingerprint, key_file and region of the profile that signs, and "
                "that its key is among the user's API keys.",
            )
        case Failed(reason):
            raise RenewalUnavailable(
                f"no session was minted: {reason}",
                hint="Run the same command again when the auth service can be reached.",
            )
        case Renewed(token, note):
            return token, note


def mint(
    service: AuthService,
    signer: Credential,
    public_key: RSAPublicKey,
    *,
    minutes: int | None,
    timeout: float,
) -> Renewed | Refused | Failed:
    """A token for `public_key`, in a session of its own, signed for by `signer`.

    Whatever life the service grants is used. One that refuses the wish for `minutes` is asked
    again without it, and the outcome carries a note.
    """
    answer = _ask(service, signer, public_key, minutes, timeout)
    if isinstance(answer, Failed):
        return answer
    outcome = _read(service, answer, public_key)
    if minutes is None or answer.status != 400 or not isinstance(outcome, Refused):
        return outcome
    again = _ask(service, signer, public_key, None, timeout)
    if isinstance(again, Failed):
        return again
    second = _read(service, again, public_key)
    if not isinstance(second, Renewed):
        return second
    granted = (second.token.expires_at - service.clock.now()) / 60
    note = (
        f"a session of {minutes} minutes was refused ({outcome.reason}); "
        f"the service's own choice is {granted:.0f} minutes"
    )
    return Renewed(second.token, note)


def _ask(
    service: AuthService,
    signer: Credential,
    public_key: RSAPublicKey,
    minutes: int | None,
    timeout: float,
) -> Answer | Failed:
    document = {"publicKey": public_pem(public_key).decode()}
    if minutes is not None:
        document["sessionExpirationInMinutes"] = str(minutes)
    return service.ask(signer, TARGET, document, timeout)


def _read(
    service: AuthService, answer: Answer, public_key: RSAPublicKey
) -> Renewed | Refused | Failed:
    read = read_token(answer, public_key, asked=str(service.origin), refusals=_REFUSALS)
    return Renewed(read) if isinstance(read, SessionToken) else read
