"""The addresses in the package's metadata: those of the repository that makes a release.

They are taken from OCIHAUL_PROJECT_URL (the release workflow sets it), so that a fork names itself.
A package that is built without it has none.
"""

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ProjectUrls(MetadataHookInterface):  # type: ignore[misc]  # known where packages are built
    """Sets `urls`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Name the repository, if it is known."""
        url = os.environ.get("OCIHAUL_PROJECT_URL", "").rstrip("/")
        metadata["urls"] = urls_of(url) if url else {}


def urls_of(url: str) -> dict[str, str]:
    """By the labels that PyPI knows."""
    return {
        "Homepage": url,
        "Source": url,
        "Documentation": f"{url}/tree/main/docs",
        "Changelog": f"{url}/blob/main/CHANGELOG.md",
        "Issues": f"{url}/issues",
    }
