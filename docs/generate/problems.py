"""The errors page: every problem code of the API's own table, with what to do about it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from daemon.api.problems import CODES
from docs.generate.markdown import page

ADVICE = Path(__file__).with_name("advice.toml")
INTRODUCTION = """
Every error of the API is a problem document (RFC 9457, `application/problem+json`). `code` is stable and made for programs;
`detail` is made for people, says what was found and what is allowed, and may change its wording; `errors` lists every bad
field of a request at once.

```json
{"type": "urn:pollhook:problem:invalid_registration", "title": "The registration is invalid", "status": 422,
 "code": "invalid_registration", "detail": "remote_id is required",
 "errors": [{"field": "remote_id", "message": "remote_id is required"}]}
```

Worth another try, with patience: 408, 500, 503 (after `Retry-After`). Everything else comes back the same until something is
changed. The command line shows `detail` and exits with 1, or with 2 where the command itself was wrong.
"""


def advice() -> dict[str, str]:
    """Return what to do about each code."""
    found: dict[str, str] = tomllib.loads(ADVICE.read_text(encoding="utf-8"))
    return found


def problems_page() -> str:
    """Return the page; a code without advice has none there, and a test is red."""
    told = advice()
    parts = [
        f"({_anchor(code)})=\n## `{code}`\n\n**{status} {title}.** {told.get(code, '')}"
        for code, (status, title) in CODES.items()
    ]
    return page("Errors and what to do", INTRODUCTION, *parts)


def _anchor(code: str) -> str:
    return f"problem-{code.replace('_', '-')}"
