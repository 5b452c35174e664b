"""Names on disk that are no UTF-8, and the objects that may stand for them all the same."""

from ocihaul.trees.names import ancestors, is_text, readable_part
from ocihaul.trees.results import EXTRA, Results


class Unread:
    """The directories that have such names.

    Another tool, or another locale, may have stored such a file under a name that cannot be
    derived from its bytes. So nothing that is below its directory in the bucket counts as gone.
    """

    def __init__(self) -> None:
        self._directories: set[str] = set()

    def note(self, path: str) -> None:
        """Take a relative path of the walk into account."""
        if not is_text(path):
            self._directories.add(readable_part(path))

    def spare(self, results: Results, prefix: str) -> int:
        """Take the objects that it may concern from those to be deleted; returns how many."""
        spared = 0
        for name, _ in results.items(EXTRA) if self._directories else ():
            path = name.removeprefix(prefix)
            if not self._directories.isdisjoint(ancestors(path)):
                results.drop(EXTRA, name)
                spared += 1
        return spared
