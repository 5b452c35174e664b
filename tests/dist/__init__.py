"""Packages as they are built and installed (`make test-dist`)."""
