"""What is done, on disk."""
