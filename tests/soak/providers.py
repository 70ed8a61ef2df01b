"""The provider side: 20 accounts on one port, the truth about every job, and faults thrown from one seed."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tests.soak.wire import HANG, Say, plain

OUTCOMES = (("completed", "succeeded"), ("failed", "failed"), ("canceled", "canceled"))
HTML = b"<!DOCTYPE html><html><h1>Just a moment...</h1></html>" * 40


@dataclass(slots=True)
class Job:
    """One remote job: when it ends (monotonic) and how."""

    ends: float
    word: str
    status: str


class Providers:
    """Every account of the soak; ``down`` holds the lanes that are out, ``wrong_keys`` counts keys that strayed."""

    def __init__(self, lanes: int, seed: int, life: float) -> None:
        self.names = [f"lane{n:02d}" for n in range(lanes)]
        self.jobs: dict[tuple[str, str], Job] = {}
        self.asked: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.down: set[str] = set()
        self.wrong_keys = 0
        self.dice = random.Random(f"providers/{seed}")
        self._life = life

    def create(self) -> tuple[str, str]:
        """Accept a job on some lane; return its lane and remote id."""
        lane = self.dice.choice(self.names)
        word, status = self.dice.choices(OUTCOMES, (85, 10, 5))[0]
        life = min(self._life * 4, self.dice.lognormvariate(0.0, 0.5) * self._life)
        remote_id = f"{lane}-{len(self.jobs)}"
        self.jobs[lane, remote_id] = Job(time.monotonic() + life, word, status)
        return lane, remote_id

    def hasten(self, seconds: float) -> None:
        """End what still runs within *seconds*."""
        now = time.monotonic()
        for job in self.jobs.values():
            job.ends = min(job.ends, now + self.dice.random() * seconds)

    def answer(self, first: bytes, headers: Mapping[bytes, bytes], body: bytes) -> Say:
        """Answer one status request, ``GET /LANE/ID``."""
        del body
        lane, remote_id = first.split(b" ")[1].decode()[1:].split("/", 1)
        self.asked[lane] += 1
        if headers.get(b"authorization") != f"Bearer sk-{lane}-0123456789abcdef".encode():
            self.wrong_keys += 1
        if lane in self.down:
            self.faults["outage"] += 1
            return plain("503 Service Unavailable", b'{"error":"maintenance"}')
        return self._spoil() or self._truth(self.jobs[lane, remote_id])

    def _truth(self, job: Job) -> Say:
        if time.monotonic() < job.ends:
            return plain("200 OK", b'{"status":"in_progress","progress":%.2f}' % self.dice.random())
        told = {"status": job.word, "url": "https://cdn.example.com/v.mp4"}
        if job.status == "failed":
            told = {"status": job.word, "error": "the prompt was refused"}
        return plain("200 OK", json.dumps(told).encode())

    def _spoil(self) -> Say | None:
        roll = self.dice.random()
        for name, chance, say in FAULTS:
            roll -= chance
            if roll < 0:
                self.faults[name] += 1
                return say
        return None


def tables(port: int, names: list[str], rate: float, typical: float) -> dict[str, dict[str, object]]:
    """Return the lanes of the config file."""
    found: dict[str, dict[str, object]] = {}
    for name in names:
        found[f"providers.{name}"] = {
            "api_key": f"sk-{name}-0123456789abcdef", "base_url": f"http://127.0.0.1:{port}/{name}", "timeout": "3s",
            "rate": rate, "burst": 10, "concurrency": 20, "min_gap": "1s", "deadline": "2h", "recheck_for": 0,
        }  # fmt: skip
        found[f"providers.{name}.status"] = {"request": "GET /{id}", "state": "status"}
        found[f"providers.{name}.status.states"] = {
            "running": ["in_progress"], "succeeded": ["completed"], "failed": ["failed"], "canceled": ["canceled"],
        }  # fmt: skip
        found[f"providers.{name}.status.fields"] = {"error_message": "error", "outputs": "url"}
        found[f"providers.{name}.typical"] = {"duration": typical}
    return found


FAULTS: tuple[tuple[str, float, Say], ...] = (
    ("429", 0.002, plain("429 Too Many Requests", b'{"error":"slow down"}', b"Retry-After: 1")),
    ("500", 0.01, plain("500 Internal Server Error", b'{"error":"upstream"}')),
    ("html", 0.005, plain("200 OK", HTML)),
    ("cut", 0.003, Say(plain("200 OK", b'{"status":"completed"}').whole, keep=60)),
    ("late", 0.005, Say(plain("200 OK", b'{"status":"in_progress"}').whole, delay=1.5)),
    ("garbage", 0.005, plain("200 OK", b'{"status": "compl')),
    ("word", 0.002, plain("200 OK", b'{"status":"pondering"}')),
    ("404", 0.002, plain("404 Not Found", b'{"error":"no such job"}')),
    ("hang", 0.0005, HANG),
)
