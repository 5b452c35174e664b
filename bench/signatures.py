"""Signs as often as it is told: what the signatures alone cost, one RSA-2048 each request."""

import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

if __name__ == "__main__":
    key = load_pem_private_key(Path(sys.argv[1]).read_bytes(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("not an RSA key")
    for number in range(int(sys.argv[2])):
        key.sign(str(number).encode(), padding.PKCS1v15(), SHA256())
