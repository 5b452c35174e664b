"""`python -m ocihaul`."""

from ocihaul.cli import main

if __name__ == "__main__":
    main()
