"""A file or a stream becomes an object."""
