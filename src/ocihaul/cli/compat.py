"""Where ocihaul differs from the official CLI on purpose, and a script wants it not to.

`OCIHAUL_COMPAT=official` turns these differences off, all at once; docs/compatibility.md has the
table of them, with their reasons and the flags that do the same one by one.
"""

import os
from collections.abc import Mapping

from ocihaul.errors import UsageError

VARIABLE = "OCIHAUL_COMPAT"
OFFICIAL = "official"


def is_official(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the official CLI's behaviour is wanted; raises UsageError for another word."""
    value = (os.environ if environ is None else environ).get(VARIABLE, "")
    if value not in {"", OFFICIAL}:
        raise UsageError(f"{VARIABLE}: {value!r} (it can be {OFFICIAL!r})", hint="Or unset it.")
    return value == OFFICIAL


def official_code(code: int) -> int:
    """An exit status as the official CLI has it: it knows neither 75 nor a 2 of its commands."""
    return 1 if code in {2, 75} else code
