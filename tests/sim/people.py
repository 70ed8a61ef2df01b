"""Who is at the other ends: providers that know the truth about every job, and receivers that remember every POST."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.sim.network import Asked, Says, reply

TROUBLES = ("refuse", "hang", "500", "429", "html", "cut", "slow", "odd")


@dataclass
class Weather:
    """Windows of trouble: (from, until, kind, share of requests that meet it)."""

    windows: list[tuple[float, float, str, float]] = field(default_factory=list)

    def at(self, now: float, dice: random.Random) -> str | None:
        for begins, ends, kind, share in self.windows:
            if begins <= now < ends and dice.random() < share:
                return kind
        return None


@dataclass
class Job:
    """The truth about one job; it is forgotten *retention* seconds after its end."""

    begun: float
    duration: float
    outcome: str

    @property
    def over(self) -> float:
        return self.begun + self.duration


class Provider:
    """A provider of one account: jobs, limits it expects to be kept, and its weather."""

    def __init__(
        self, name: str, now: Callable[[], float], dice: random.Random, *, retention: float = 86_400.0
    ) -> None:
        self.name, self.now, self.dice, self.retention = name, now, dice, retention
        self.jobs: dict[str, Job] = {}
        self.weather = Weather()
        self.polls: list[tuple[float, str]] = []
        self.flying: Counter[str] = Counter()
        self.most_flying = 0
        self.twice: list[str] = []
        self.held_until = 0.0
        self.held_at = 0.0
        self.unheeded: list[tuple[float, float]] = []
        self.shown: defaultdict[str, list[float]] = defaultdict(list)

    def accepts(self) -> bool:
        return self.weather.at(self.now(), self.dice) != "refuse"

    def hears(self, asked: Asked) -> Says:
        now, remote = self.now(), asked.target.rsplit("/", 1)[-1]
        self._mind(now, remote)
        kind = self.weather.at(now, self.dice)
        after = 0.02 + 0.2 * self.dice.random()
        told = lambda: self._land(remote)  # noqa: E731
        match kind:
            case "hang" | "refuse":
                return Says(0.0, None)
            case "500":
                return Says(after, reply(503, b"oops"), told=told)
            case "429":
                return Says(
                    after, reply(429, b'{"error":"slow down"}', Retry_After="20"), told=lambda: self._hold(remote)
                )
            case "html":
                return Says(after, reply(200, b"<html>back soon</html>"), told=told)
            case "odd":
                return Says(after, reply(200, b'{"state":"pondering"}'), told=told)
            case "cut":
                return Says(after, self._truth(remote, now), cut=7)
            case "slow":
                return Says(8 + 30 * self.dice.random(), self._truth(remote, now), told=lambda: self._land(remote))
        data = self._truth(remote, now)
        return Says(after, data, told=lambda: self._land(remote, data))

    def loses(self, asked: Asked) -> None:
        self.flying[asked.target.rsplit("/", 1)[-1]] -= 1

    def _mind(self, now: float, remote: str) -> None:
        self.polls.append((now, remote))
        if now < self.held_until - 0.001:
            self.unheeded.append((now, self.held_at))
        if self.flying[remote]:
            self.twice.append(remote)
        self.flying[remote] += 1
        self.most_flying = max(self.most_flying, sum(self.flying.values()))

    def _land(self, remote: str, data: bytes = b"") -> None:
        self.flying[remote] -= 1
        if b'"succeeded"' in data or b'"failed"' in data or b'"canceled"' in data:
            self.shown[remote].append(self.now())

    def _hold(self, remote: str) -> None:
        self._land(remote)
        self.held_at, self.held_until = self.now(), self.now() + 20.0

    def _truth(self, remote: str, now: float) -> bytes:
        job = self.jobs.get(remote)
        if job is None or now > job.over + self.retention:
            return reply(404, b'{"error":"no such job"}')
        if now >= job.over:
            links = [f"https://cdn.example.com/{remote}.mp4"] if job.outcome == "succeeded" else []
            return reply(200, json.dumps({"state": job.outcome, "links": links}).encode())
        if now < job.begun + 0.2 * job.duration:
            return reply(200, b'{"state":"queued"}')
        progress = round((now - job.begun) / job.duration, 1)
        return reply(200, json.dumps({"state": "running", "progress": progress}).encode())


@dataclass
class Heard:
    """Every POST of one event that a receiver saw, and how often it said yes and that arrived."""

    bodies: set[str] = field(default_factory=set)
    times: list[float] = field(default_factory=list)
    taken: int = 0
    type: str = ""
    task: str = ""


class Receiver:
    """A receiver that verifies every signature."""

    def __init__(self, now: Callable[[], float], now_at: Callable[[], float], dice: random.Random, secret: str) -> None:
        self.now, self.now_at, self.dice = now, now_at, dice
        self.key = base64.b64decode(secret.removeprefix("whsec_"))
        self.weather = Weather()
        self.heard: defaultdict[str, Heard] = defaultdict(Heard)
        self.forged: list[str] = []

    def accepts(self) -> bool:
        return self.weather.at(self.now(), self.dice) != "refuse"

    def hears(self, asked: Asked) -> Says:
        known = self._remembered(asked)
        after = 0.01 + 0.05 * self.dice.random()

        def taken() -> None:
            known.taken += 1

        match self.weather.at(self.now(), self.dice):
            case "hang" | "refuse" | "slow":
                return Says(0.0, None)
            case "500" | "odd" | "html":
                return Says(after, reply(500, b""))
            case "429":
                return Says(after, reply(429, b"", Retry_After="60"))
            case "cut":
                return Says(after, reply(204, b""), cut=5)
        return Says(after, reply(204, b""), told=taken)

    def loses(self, asked: Asked) -> None:
        pass

    def _remembered(self, asked: Asked) -> Heard:
        name, at = asked.headers["webhook-id"], asked.headers["webhook-timestamp"]
        signed = hmac.digest(self.key, f"{name}.{at}.".encode() + asked.body, "sha256")
        if f"v1,{base64.b64encode(signed).decode()}" not in asked.headers["webhook-signature"].split(" "):
            self.forged.append(name)
        if abs(int(at) - self.now_at()) > 2:
            self.forged.append(f"{name} at {at}")
        known, event = self.heard[name], json.loads(asked.body)
        known.bodies.add(hashlib.sha256(asked.body).hexdigest())
        known.times.append(self.now())
        known.type, known.task = event["type"], event["data"].get("task_id", "")
        return known
