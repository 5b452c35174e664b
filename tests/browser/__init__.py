"""A real browser logs in: headless Chromium against the emulated login page."""
