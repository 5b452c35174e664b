"""Private keys: what is taken, what is refused, and what is asked of OpenSSL."""

from base64 import encodebytes
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ocihaul.errors import CredentialError
from ocihaul.session.store import load_key, private_pem


@dataclass(frozen=True)
class Numbers:
    """What PKCS #1 has of a key, in its order."""

    n: int
    e: int
    d: int
    p: int
    q: int
    dmp1: int
    dmq1: int
    iqmp: int

    def pem(self) -> bytes:
        """As PEM, whether the numbers belong together or not."""
        fields = (0, self.n, self.e, self.d, self.p, self.q, self.dmp1, self.dmq1, self.iqmp)
        body = b"".join(_der(2, n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in fields)
        inside = encodebytes(_der(0x30, body))
        return b"-----BEGIN RSA PRIVATE KEY-----\n" + inside + b"-----END RSA PRIVATE KEY-----\n"


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content


@pytest.fixture(scope="module")
def numbers() -> Numbers:
    key = rsa.generate_private_key(65537, 2048).private_numbers()
    public = key.public_numbers
    return Numbers(public.n, public.e, key.d, key.p, key.q, key.dmp1, key.dmq1, key.iqmp)


def test_a_key_in_either_form_is_taken(numbers: Numbers) -> None:
    key = load_key(numbers.pem(), where="the key")
    assert key.private_numbers().d == numbers.d
    again = load_key(private_pem(key), where="the key", test_primes=True)
    assert again.private_numbers() == key.private_numbers()
    old = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert load_key(old, where="the key").private_numbers() == key.private_numbers()


def test_a_key_with_another_private_exponent_is_taken(numbers: Numbers) -> None:
    """d may be taken modulo the least common multiple or the product: both sign alike."""
    product = pow(numbers.e, -1, (numbers.p - 1) * (numbers.q - 1))
    least = product % ((numbers.p - 1) * (numbers.q - 1) // 2)
    for d in {product, least}:
        load_key(replace(numbers, d=d).pem(), where="the key")


CHANGES: dict[str, Callable[[Numbers], Numbers]] = {
    "modulus": lambda k: replace(k, n=k.n + 2),
    "exponent": lambda k: replace(k, e=k.e + 2),
    "private exponent": lambda k: replace(k, d=k.d ^ 4),
    "first factor": lambda k: replace(k, p=k.p ^ 2),
    "second factor": lambda k: replace(k, q=k.q ^ 2),
    "first CRT exponent": lambda k: replace(k, dmp1=k.dmp1 ^ 1),
    "second CRT exponent": lambda k: replace(k, dmq1=k.dmq1 ^ 1),
    "coefficient": lambda k: replace(k, iqmp=k.iqmp ^ 1),
    "factors in the other order": lambda k: replace(k, p=k.q, q=k.p),
    "a factor of 1": lambda k: replace(k, p=1, q=k.n),
    "zeros": lambda k: replace(k, d=0, dmp1=0, dmq1=0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_key_whose_numbers_do_not_belong_together_is_refused(
    numbers: Numbers, change: str
) -> None:
    with pytest.raises(CredentialError, match="the key in the drawer"):
        load_key(CHANGES[change](numbers).pem(), where="the key in the drawer")


def test_only_who_asks_for_it_has_the_primes_tested(numbers: Numbers) -> None:
    """A key of three primes has numbers that belong together, but for that."""
    made = _with_a_composite_factor()
    load_key(made.pem(), where="the key")
    with pytest.raises(CredentialError):
        load_key(made.pem(), where="the key", test_primes=True)


def _with_a_composite_factor() -> Numbers:
    while True:
        first = rsa.generate_private_key(65537, 2048).private_numbers()
        second = rsa.generate_private_key(65537, 2048).private_numbers()
        p, q, e = first.p * first.q, second.p, 65537
        if p < q:
            p, q = q, p
        try:
            d = pow(e, -1, (p - 1) * (q - 1))
            return Numbers(p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
        except ValueError:
            continue
