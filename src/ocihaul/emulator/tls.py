"""TLS with a certificate authority that exists for one emulator and is thrown away with it."""

import ssl
from pathlib import Path

import trustme


def server_context(host: str, ca_file: Path) -> ssl.SSLContext:
    """A server context for `host`; its CA certificate is written to `ca_file`."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(ca_file)
    return context
