"""Whole directories to and from a bucket: walk, compare with one list, hand on file by file."""
