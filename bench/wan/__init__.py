"""A long line between two network namespaces: real kernel TCP over a link that delays and loses."""
