"""`session keep`: profiles under supervision, their metrics, and the service manager."""
