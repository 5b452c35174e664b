"""A question to a person at a terminal, or to what is piped in as the answer."""

from typing import TextIO

import click

from ocihaul.cli.signals import answering
from ocihaul.printing import say, shown


def yes_or_no(stdin: TextIO, stderr: TextIO, question: str) -> bool | None:
    """Ask on stderr until there is an answer; an empty line is no.

    None: the input has ended without one.
    """
    while True:
        say(stderr, question, end=" ")
        line = next_line(stdin)
        if not line:
            say(stderr, "")
            return None
        word = line.strip().lower()
        if word in {"y", "yes"}:
            return True
        if word in {"", "n", "no"}:
            return False
        say(stderr, "Error: invalid input")


def next_line(stdin: TextIO) -> str:
    """The next line; empty at the end of the input, and where it cannot be read.

    Raises KeyboardInterrupt for a signal meanwhile.
    """
    try:
        with answering():
            return stdin.readline()
    except (OSError, ValueError):
        return ""


def prompt(question: str, *, secret: bool = False) -> str:
    """Ask for a text; a `secret` is not echoed, and asked for twice."""
    with answering():
        answer: str = click.prompt(
            shown(question), hide_input=secret, confirmation_prompt=secret, err=True
        )
    return answer


def confirm(question: str) -> bool:
    """Ask for a yes; Return alone is no."""
    with answering():
        return click.confirm(shown(question), default=False, err=True)
