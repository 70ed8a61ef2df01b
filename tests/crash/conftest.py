"""The crash drills take minutes: `make test-crash` runs them, other runs only what says that no point was forgotten."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("POLLHOOK_CRASHES") else ["test_drill_*.py"]
