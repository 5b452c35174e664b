"""Print the official CLI's commands and flags as JSON; runs in its environment alone.

    PYTHON tools/official_tree.py os session

Each command is {"path": [...], "flags": [[names, ...], ...]}, as its own click tree tells it.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from typing import Any


def main() -> None:
    """Print the commands below the groups that the command line names."""
    loader = _module("oci_cli.dynamic_loader")
    loader.load_service("os")
    _module("oci_cli.cli_session")
    _module("oci_cli.final_command_processor").process()
    root = _module("oci_cli.cli_root").cli
    version = _module("oci_cli.version").__version__
    commands = [each for name in sys.argv[1:] for each in _commands(root.commands[name], [name])]
    sys.stdout.write(json.dumps({"version": version, "commands": commands}, indent=1) + "\n")


def _commands(command: Any, path: list[str]) -> Iterator[dict[str, Any]]:
    if getattr(command, "commands", None):
        for name in sorted(command.commands):
            yield from _commands(command.commands[name], [*path, name])
        return
    flags = [[name for name in each.opts if name.startswith("-")] for each in command.params]
    yield {"path": path, "flags": sorted(each for each in flags if each)}


def _module(name: str) -> Any:
    return importlib.import_module(name)


if __name__ == "__main__":
    main()
