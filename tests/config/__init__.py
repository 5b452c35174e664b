"""Tests of `ocihaul.config`."""
