"""OCI sessions that do not die, and transfers that do not lose a byte."""

__version__ = "0.1.0"
