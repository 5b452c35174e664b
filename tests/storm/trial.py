"""One transfer of a storm under way, and what is known of it."""

from dataclasses import dataclass, field

from tests.storm.pieces import Part, Piece
from tests.storm.transfers import Transfer

#: What a run says when it cannot use the journal or the ledger.
_FORGETFUL = ("remembered", "will begin anew")


@dataclass
class Trial:
    """One transfer under way, and what is known of it."""

    number: int
    transfer: Transfer
    full_disk: bool
    began: int = 0
    texts: list[str] = field(default_factory=list)
    #: What the journal had of it at one kill or another.
    recorded: set[Part] = field(default_factory=set)
    #: What was finished at the last kill.
    finished: set[Piece] = field(default_factory=set)
    #: Parts that were at the service then, and right, and not in the journal.
    unrecorded: set[Part] = field(default_factory=set)
    #: KiB that the disk of the journal has, where it is nearly full.
    room: int = 0
    #: A run has said that it could not use the journal.
    forgetful: bool = False

    @property
    def title(self) -> str:
        return f"{self.transfer.kind} {self.transfer.prefix}"

    def said(self, text: str) -> bool:
        """Note what a run has said; returns whether it could not use the journal."""
        self.texts.append(text)
        forgetful = any(words in text for words in _FORGETFUL)
        self.forgetful |= forgetful
        return forgetful
