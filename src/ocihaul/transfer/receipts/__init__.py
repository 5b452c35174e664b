"""The proof of what was sent."""
