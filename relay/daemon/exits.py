"""Exit statuses, as sysexits.h has them: callers that know sendmail know what to do."""

from __future__ import annotations

EX_OK = 0
EX_FAILED = 1  # not of sysexits: a command that was not done, a worker that failed
EX_USAGE = 64
EX_DATAERR = 65
EX_NOUSER = 67
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_TEMPFAIL = 75  # try again later
EX_NOPERM = 77
EX_CONFIG = 78  # trying again changes nothing: the configuration must
