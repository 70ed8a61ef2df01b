"""The drills of this folder take minutes: `make test-baddays` runs them, other runs leave them alone."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("POLLHOOK_BAD_DAYS") else ["test_*.py"]
