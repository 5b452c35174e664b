"""Transfers by the workers of a Dask cluster: files in batches, parts and ranges one by one.

The driver (the process that was called) walks, lists, plans, remembers, compares and commits;
workers read, send and fetch. Which worker does what, and what happens when one dies, is Dask's.
Nothing here is imported without a cluster. See docs/dask.md.
"""
