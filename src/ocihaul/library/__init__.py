"""The calls of the public API that are more than one of our classes: settings, client, work.

What belongs here: functions a program calls, with plain arguments. They neither print nor ask.
"""

from ocihaul.library.files import download, upload
from ocihaul.library.receipts import Verification, verify

__all__ = ["Verification", "download", "upload", "verify"]
