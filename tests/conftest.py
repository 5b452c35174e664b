"""For all tests: a busy machine is no failure, so hypothesis has no deadline."""

from hypothesis import settings

settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
