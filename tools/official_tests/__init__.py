"""The official CLI's own tests of Object Storage, with a command of our choice in its place."""
