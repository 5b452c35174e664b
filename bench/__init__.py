"""Side-by-side measurements on loopback: see docs/performance.md."""
