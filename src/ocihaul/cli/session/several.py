"""One command for several profiles: each gets its turn, and the worst end is the exit status."""

import sys
from collections.abc import Callable, Sequence

from ocihaul.cli.exit_codes import exit_code, worst

#: Text for people, on stderr; its line breaks are our own.
Say = Callable[[str], None]


def for_each(
    profiles: Sequence[str], act: Callable[[str, Say], int], *, debug: bool = False
) -> int:
    """Have `act` work on each profile, and return the worst of the exit statuses.

    What it says and the errors that it raises bear the profile's name where there are several;
    one's error does not keep the others from their turn. Raises TransferCancelled, and what `act`
    raises for a single profile.
    """
    from ocihaul.cli.complain import error_text
    from ocihaul.errors import OcihaulError, TransferCancelled

    if len(profiles) == 1:
        return act(profiles[0], _speaker(""))
    codes = []
    for profile in profiles:
        say = _speaker(f"{profile}: ")
        try:
            codes.append(act(profile, say))
        except TransferCancelled:
            raise
        except OcihaulError as error:
            say(error_text(error, debug=debug))
            codes.append(exit_code(error))
    return worst(codes)


def say_notice(text: str) -> None:
    """A notice on stderr, of no profile in particular."""
    from ocihaul.printing import say

    say(sys.stderr, f"Notice: {text}")


def _speaker(label: str) -> Say:
    def tell(text: str) -> None:
        from ocihaul.printing import say_text

        say_text(sys.stderr, "\n".join(f"{label}{line}" for line in text.split("\n")))

    return tell
