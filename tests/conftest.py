"""For all tests: the same ground under them, however they are started."""

import signal

from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

# Under nohup or in a shell's background some signals are ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
    signal.signal(_number, signal.SIG_DFL)
