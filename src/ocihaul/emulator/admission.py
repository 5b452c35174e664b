"""Whether a request is let in: signature, date, host, token. It notes in the log who asked."""

from . import signatures
from .call import Call, Operation
from .log import Record
from .service import Service


def admit(service: Service, operation: Operation, call: Call, record: Record, now: float) -> None:
    """401 unless the request is signed, now, by someone we know with a live token."""
    if operation.public:
        return
    signature = signatures.parse(call.headers.get("authorization"))
    signatory = service.auth.resolve(signature.key_id)
    if signatory.token is not None:
        record.token_id = signatory.token.jti
        record.session_id = signatory.token.login.session_id
        record.token_age_fraction = signatory.token.age_fraction(now)
    signatures.check_coverage(signature, call.method, body_signed=not operation.bare_body)
    signatures.verify(
        signature,
        signatory.public_key,
        method=call.method,
        target=call.target,
        headers=call.headers,
    )
    signatures.check_host(call.headers.get("host", ""), service.host_ports)
    signatures.check_date(signature, call.headers, now=now, max_skew=service.settings.max_skew)
    if signatory.token is not None:
        refreshing = operation.name == "RefreshToken"
        service.auth.check(signatory.token, now, refreshing=refreshing)
    call.signatory = signatory
    call.body_signed = "x-content-sha256" in signature.headers


def recheck(service: Service, call: Call, now: float) -> None:
    """401 if the token has died since."""
    if call.signatory is not None and call.signatory.token is not None:
        service.auth.check(call.signatory.token, now, refreshing="authentication" in call.path)
