"""The user's journal for one upload or one tree, or none where it cannot be opened."""

from contextlib import AbstractContextManager, nullcontext

from ocihaul.errors import JournalError
from ocihaul.events import Listener, Notice
from ocihaul.transfer.journal.journal import Journal, state_directory


def open_journal(listener: Listener) -> AbstractContextManager[Journal | None]:
    """The journal, as a context; without one an upload still works, but is not gone on with.

    That is said to `listener`.
    """
    try:
        return Journal(state_directory())
    except JournalError as error:
        text = f"An interrupted upload will begin anew: {error.message}. {error.hint}"
        listener(Notice(text))
        return nullcontext()
