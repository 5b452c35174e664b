"""Sessions for the official tools, and the official tools' signers for us.

`oci_sdk` gives the Python SDK a signer on a Session, `oci_cli` runs the official command line on
one, and `principals` lets our own commands sign with the SDK's principals. The official packages
are extras: each module imports them where they are used and says how to get them.
"""
