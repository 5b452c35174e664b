"""What a storm has counted: what went wrong on purpose, and what it found."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocihaul.emulator import KINDS

#: What is looked for; each has to be 0.
FINDINGS = (
    "wrong objects",
    "objects wrong for a moment",
    "wrong files",
    "lost finished parts",
    "sends of finished parts",
    "orphans not named",
    "temporaries left behind",
    "failed runs",
    "transfers that never ended well",
    "later runs that failed",
    "broken databases",
    "errors that should not happen",
    "secrets in output",
)
#: Beside the faults of the emulator.
OTHER_FAULTS = ("full disk noticed", "tokens renewed")
TENTHS = 10
_EVIDENCE = 5


@dataclass
class Tally:
    """Counts of one storm; `evidence` has the first few findings of each kind in words."""

    seed: int
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    moments: Counter[int] = field(default_factory=Counter)
    exits: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    evidence: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def found(self, kind: str, what: Iterable[str], where: str) -> None:
        """Something that must not be."""
        for each in what:
            self.findings[kind] += 1
            if len(self.evidence[kind]) < _EVIDENCE:
                self.evidence[kind].append(f"{where}: {each}")

    def killed(self, kind: str, share: float) -> None:
        """A command was killed at that share of its usual duration."""
        self.kills[kind] += 1
        self.moments[min(int(share * TENTHS), TENTHS - 1)] += 1

    def unfired(self) -> list[str]:
        """The kinds of faults that never happened."""
        return [kind for kind in (*KINDS, *OTHER_FAULTS) if not self.faults[kind]]

    def document(self) -> dict[str, Any]:
        """For a file, and for the documentation."""
        return {
            "seed": self.seed,
            "seconds": round(self.seconds),
            "kills": self.kills.total(),
            "kills by command": dict(sorted(self.kills.items())),
            "kills by tenth of the duration": [self.moments[tenth] for tenth in range(TENTHS)],
            "exits": {str(code): count for code, count in sorted(self.exits.items())},
            "counts": dict(sorted(self.counts.items())),
            "faults": {kind: self.faults[kind] for kind in (*KINDS, *OTHER_FAULTS)},
            "findings": {kind: self.findings[kind] for kind in FINDINGS},
            "evidence": {kind: list(texts) for kind, texts in self.evidence.items()},
        }

    def write(self, path: Path) -> None:
        """The document as JSON."""
        path.write_text(json.dumps(self.document(), indent=2) + "\n", encoding="utf-8")

    def table(self) -> str:
        """For people."""
        document = self.document()
        head = f"{document['kills']} kills in {document['seconds']} s, seed {self.seed}"
        lines = [head]
        for title in ("kills by command", "exits", "counts", "faults", "findings"):
            lines += ["", title]
            lines += [f"  {name:<34} {count:>8,}" for name, count in document[title].items()]
        tenths = " ".join(map(str, document["kills by tenth of the duration"]))
        lines += ["", f"kills by tenth of the duration: {tenths}"]
        lines += [f"{kind}: {text}" for kind, texts in self.evidence.items() for text in texts]
        return "\n".join(lines)
