"""What all tests share: a machine that is busy with other things makes no property false."""

import os

from hypothesis import HealthCheck, settings

# Some images forbid to keep compiled modules; relays that tests start would compile all of theirs each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")
