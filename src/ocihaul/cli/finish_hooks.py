"""What is run when a transfer has ended: `--on-finish` always, `--on-failure` where it failed.

A hook has a minute, then it is ended with all it has started. What it does wrong is said in the
log and does not change the exit status.
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ocihaul.cli.park_hooks import environment_value, run_hook
from ocihaul.cli.run_result import RunResult

#: Seconds that a hook may take.
LONGEST = 60.0


def hook_environment(result: RunResult, log: Path | None) -> Mapping[str, str]:
    """The variables that a hook gets; what there is none of is empty."""
    return {
        "OCIHAUL_STATE": result.state,
        "OCIHAUL_OBJECT": environment_value(result.object),
        "OCIHAUL_BYTES": str(result.bytes),
        "OCIHAUL_EXIT": str(result.exit),
        "OCIHAUL_REASON": environment_value(result.reason or ""),
        "OCIHAUL_RECEIPT": environment_value(result.receipt or ""),
        "OCIHAUL_LOG": environment_value("" if log is None else str(log)),
    }


def run_finish_hooks(
    result: RunResult,
    *,
    on_finish: str | None,
    on_failure: str | None,
    log: Path | None,
    say: Callable[[str], None],
    monotonic: Callable[[], float] = time.monotonic,
    longest: float = LONGEST,
) -> None:
    """Run those that are asked for, one after the other; what goes wrong is said through `say`."""
    hooks = [("--on-finish", on_finish)]
    if result.exit:
        hooks.append(("--on-failure", on_failure))
    environ = {**os.environ, **hook_environment(result, log)}
    for flag, command in hooks:
        if not command:
            continue
        until = monotonic() + longest
        try:
            ran = run_hook(command, environ, lambda until=until: monotonic() >= until)  # type: ignore[misc]
        except (OSError, ValueError) as error:
            say(f"{flag} could not be run: {error}")
            continue
        if ran is None:
            say(f"{flag} was ended after {longest:.0f} s")
        elif ran[0]:
            say(f"{flag} ended with status {ran[0]}: {ran[1]}")
