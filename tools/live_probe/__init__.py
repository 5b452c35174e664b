"""Questions to the real service that no document answers; see docs/live_probe.md."""
