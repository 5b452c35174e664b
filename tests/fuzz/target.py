"""One parser under test: its name, what it is fed, and the property that holds for every input."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
from hypothesis import strategies as st

from ocihaul.errors import OcihaulError

#: CPU seconds that one input may take, on the slowest of machines.
LONGEST = 10.0


@dataclass(frozen=True)
class Target:
    """`parse` is called with what `inputs` gives, and checks by itself what it returns.

    `allowed` are the errors that stand at this boundary.
    """

    name: str
    inputs: st.SearchStrategy[Any]
    parse: Callable[[Any], object]
    allowed: tuple[type[BaseException], ...] = (OcihaulError, click.UsageError)

    def check(self, given: Any) -> None:
        """A value, or an error of our own; never anything else, and never without end."""
        begun = time.thread_time()
        with contextlib.suppress(*self.allowed):
            self.parse(given)
        taken = time.thread_time() - begun
        assert taken < LONGEST, f"{self.name}: {taken:.1f} s"
