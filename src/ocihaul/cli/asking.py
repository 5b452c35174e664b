"""A question to a person at a terminal."""

from typing import TextIO


def yes_or_no(stdin: TextIO, stderr: TextIO, question: str) -> bool:
    """Ask on stderr until there is an answer; nothing, or the end of the input, is no."""
    while True:
        stderr.write(question)
        stderr.flush()
        line = stdin.readline()
        if not line:
            stderr.write("\n")
            return False
        word = line.strip().lower()
        if word in {"y", "yes"}:
            return True
        if word in {"", "n", "no"}:
            return False
        stderr.write("Error: invalid input\n")
