"""Tests of `ocihaul.cli`."""
