"""Requests that get through: signed at each attempt, mended after a 401, retried within limits."""
