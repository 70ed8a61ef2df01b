"""A provider that is slow and only polls, to try Pollhook with: ``python3 slow_provider.py``. Standard library only.

POST /jobs answers an id at once; GET /jobs/ID says queued, running and, after eight seconds, done.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "test-key-of-the-slow-provider"
JOBS: dict[str, float] = {}


class Provider(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        job = f"job-{len(JOBS) + 1}"
        JOBS[job] = time.monotonic()
        self.answer(202, {"id": job, "status": "queued"})

    def do_GET(self) -> None:
        job = self.path.removeprefix("/jobs/")
        if self.headers["Authorization"] != f"Bearer {KEY}":
            self.answer(401, {"error": "no such key"})
        elif job not in JOBS:
            self.answer(404, {"error": "no such job"})
        elif (age := time.monotonic() - JOBS[job]) < 8:
            self.answer(200, {"id": job, "status": "queued" if age < 2 else "running"})
        else:
            self.answer(200, {"id": job, "status": "done", "video": f"https://cdn.example.com/{job}.mp4"})

    def answer(self, status: int, body: dict[str, str]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 9100), Provider).serve_forever()
