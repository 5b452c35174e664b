"""The calls of the public API that are more than one of our classes: settings, client, work.

What belongs here: functions a program calls, with plain arguments. They neither print nor ask.
"""

from ocihaul.library.files import download, upload
from ocihaul.library.receipts import Verification, verify
from ocihaul.library.trees import TreeResult, download_tree, upload_tree

__all__ = [
    "TreeResult",
    "Verification",
    "download",
    "download_tree",
    "upload",
    "upload_tree",
    "verify",
]
