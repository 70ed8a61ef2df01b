"""The two queue dialects, ModelMax and SeaCloud: the model stands in the path, the outputs in a second request."""

from __future__ import annotations

import base64
from urllib.parse import quote

from daemon.core.observation import Json
from daemon.core.task import Status
from daemon.demo.job import Answer, Job

LIVE_WORDS = {Status.QUEUED: "IN_QUEUE", Status.RUNNING: "IN_PROGRESS"}


class ModelMax:
    """COMPLETED or FAILED; ``error`` is a plain text; the result request bills and its urls are relative."""

    name = "modelmax"
    base_path = ""
    schemes: tuple[str, ...] = ("Bearer",)
    models: tuple[str, ...] = ("veo-3", "veo-3-fast")
    submit = "/v1/queue/{model}"
    statuses: tuple[str, ...] = ("/v1/queue/{model}/requests/{id}/status",)
    gathers: tuple[str, ...] = ("/v1/queue/{model}/requests/{id}", "/v1/queue/{model}/requests/{id}/content/{index}")
    may_cancel = False
    bills = True

    def new_id(self, dice_bits: int, model: str) -> str:
        """Return base64 of the gateway's own text; about half the ids hold a slash, which a path must encode."""
        text = f"gemini:{model}:8:720p:1:op-{dice_bits % 10**9:09d}"
        if dice_bits % 2:
            text += "?" * (3 - len(text) % 3)
        return base64.b64encode(text.encode()).decode()

    def accepted(self, job: Job, base_url: str) -> Answer:
        """Answer 202 with relative URLs."""
        del base_url
        body: Json = {
            "request_id": job.id,
            "status": "IN_QUEUE",
            "status_url": f"{self._path(job)}/status",
            "response_url": self._path(job),
        }
        return Answer(status=202, body=body)

    def stands(self, job: Job, now: float, base_url: str) -> dict[str, Json]:
        """Return the lightweight status body."""
        del base_url
        status = job.status(now)
        if status is Status.FAILED:
            return {"request_id": job.id, "status": "FAILED", "error": "content policy violation"}
        return {"request_id": job.id, "status": LIVE_WORDS.get(status, "COMPLETED")}

    def gathered(self, job: Job, now: float, base_url: str, path: str) -> Answer:
        """Answer the billing result request, or the video's bytes."""
        if path == self.gathers[1]:
            return Answer(body=b"\x00\x00\x00\x20ftypisom" + job.id.encode(), content_type="video/mp4")
        body = self.stands(job, now, base_url) | {"model": job.model}
        if job.status(now) is Status.SUCCEEDED:
            job.billed += 1
            body["data"] = [{"url": f"{self._path(job)}/content/{n}"} for n in range(2 if _is_rare(job) else 1)]
            body["usage"] = {"video_seconds": 8, "video_resolution": "720p", "video_has_audio": True}
        return Answer(body=body)

    def refusal(self, status: int, message: str) -> Json:
        """Return a plain error text; an unknown id is a bad one here (400)."""
        return {"error": "Invalid request ID" if status == 404 else message}

    def _path(self, job: Job) -> str:
        return f"/v1/queue/{job.model}/requests/{quote(job.id, safe='')}"


class SeaCloud:
    """COMPLETED only means ended; ``error_type`` tells a failure from a cancellation; two error envelopes."""

    name = "seacloud"
    base_path = "/model"
    schemes: tuple[str, ...] = ("Key", "Bearer")
    models: tuple[str, ...] = ("nano_banana_2", "seedance_2")
    submit = "/v1/queue/{model}"
    statuses: tuple[str, ...] = ("/v1/queue/{model}/requests/{id}/status",)
    gathers: tuple[str, ...] = ("/v1/queue/{model}/requests/{id}/response",)
    may_cancel = True
    bills = False
    failures = (
        ("Task execution failed", "INFERENCE_FAILURE"),
        ("Task execution timed out", "INFERENCE_TIMEOUT"),
        ("Request parameters are invalid", "REQUEST_INVALID"),
        ("Content was blocked by safety policy", "CONTENT_BLOCKED"),
        ("Internal server error", "INTERNAL_SERVER_ERROR"),
    )

    def new_id(self, dice_bits: int, model: str) -> str:
        """Return an id of the documented form."""
        del model
        return f"mmsu_01{dice_bits:016x}"

    def accepted(self, job: Job, base_url: str) -> Answer:
        """Answer with absolute URLs and a queue position that is always 0."""
        base = self._url(job, base_url)
        body: Json = {
            "request_id": job.id,
            "response_url": f"{base}/response",
            "status_url": f"{base}/status",
            "cancel_url": f"{base}/cancel",
            "queue_position": 0,
        }
        return Answer(body=body)

    def stands(self, job: Job, now: float, base_url: str) -> dict[str, Json]:
        """Return the status body; only the presence of ``error`` tells success from failure."""
        status = job.status(now)
        body: dict[str, Json] = {"status": LIVE_WORDS.get(status, "COMPLETED"), "request_id": job.id}
        if status is Status.QUEUED:
            body["queue_position"] = 0
        body["response_url"] = f"{self._url(job, base_url)}/response"
        if status is Status.SUCCEEDED:
            body["metrics"] = {"inference_time": round(job.script.running, 2)}
        if status is Status.CANCELED:
            body |= {"error": "Task was canceled", "error_type": "CANCELED"}
        if status is Status.FAILED:
            message, kind = self.failures[int(job.script.flavour * len(self.failures))]
            body |= {"error": message, "error_type": kind}
        return body

    def gathered(self, job: Job, now: float, base_url: str, path: str) -> Answer:
        """Answer 202 with a status body until it ended, then the outputs without any status word."""
        del path
        status = job.status(now)
        if not status.is_terminal:
            return Answer(status=202, body=self.stands(job, now, base_url))
        if status is not Status.SUCCEEDED:
            return Answer(status=500, body={"detail": "Runtime execution failed"})
        outputs: list[Json] = [_image(job, number) for number in range(2 if _is_rare(job) else 1)]
        return Answer(body={"request_id": job.id, "outputs": outputs, "metadata": {"prompt": job.prompt}})

    def refusal(self, status: int, message: str) -> Json:
        """Return the gateway's envelope for 401 and 429, the application's for all else."""
        codes = {401: "UNAUTHORIZED", 429: "RATE_LIMIT_EXCEEDED"}
        if status in codes:
            return {"error": {"code": codes[status], "message": message}, "request_id": "gw_0"}
        return {"detail": "Request not found" if status == 404 else message}

    def _url(self, job: Job, base_url: str) -> str:
        return f"{base_url}/v1/queue/{job.model}/requests/{job.id}"


def _image(job: Job, number: int) -> Json:
    return {
        "type": "image",
        "url": f"https://cdn.example.com/{job.id}/image-{number + 1}.png",
        "content_type": "image/png",
        "file_name": f"image-{number + 1}.png",
        "width": 1024,
        "height": 1024,
    }


def _is_rare(job: Job) -> bool:
    return job.script.flavour < 0.2
