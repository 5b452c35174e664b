"""`python -m ocihaul.emulator`."""

import sys

from ocihaul.emulator.cli import main

if __name__ == "__main__":
    sys.exit(main())
