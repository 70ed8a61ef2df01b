"""The three video gateways, MixRoute, Token360 and Amux: one status request that usually holds the url."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from random import Random

from daemon.core.observation import Json
from daemon.core.task import Status
from daemon.demo.job import Answer, Job

INLINE_BYTES = 240_000
LIVE_WORDS = {Status.QUEUED: "queued", Status.RUNNING: "in_progress", Status.FAILED: "failed"}


class MixRoute:
    """``succeeded``; Sora 2 ends without a url, Veo's may be a ``data:`` URI; ``pending`` is in no table."""

    name = "mixroute"
    base_path = ""
    schemes: tuple[str, ...] = ("Bearer",)
    models: tuple[str, ...] = ("veo-3.1", "sora-2", "doubao-seedance-1.0")
    submit = "/v1/video/generations"
    statuses: tuple[str, ...] = ("/v1/video/generations/{id}",)
    gathers: tuple[str, ...] = ("/v1/video/generations/download",)
    may_cancel = False
    bills = False

    def new_id(self, dice_bits: int, model: str) -> str:
        """Return an id of the documented form."""
        del model
        return f"video_{dice_bits:032x}"

    def accepted(self, job: Job, base_url: str) -> Answer:
        """Answer with the word that the status table leaves out."""
        del base_url
        return Answer(body={"task_id": job.id, "status": "pending", "created_at": int(job.created_at)})

    def stands(self, job: Job, now: float, base_url: str) -> dict[str, Json]:
        """Return the status body; a fifth of the queued tasks still say ``pending``."""
        del base_url
        status = job.status(now)
        word = "pending" if status is Status.QUEUED and _is_rare(job) else LIVE_WORDS.get(status, "succeeded")
        body: dict[str, Json] = {"task_id": job.id, "status": word, "format": "mp4"}
        if status is Status.FAILED:
            body["error"] = {"code": 400, "message": "Prompt contains inappropriate content"}
        if status is Status.SUCCEEDED and not job.model.startswith("sora"):
            is_inline = job.model.startswith("veo") and job.script.flavour < 0.5
            body["url"] = _data_uri(job) if is_inline else f"https://cdn.example.com/2026/11/21/{job.id}/video.mp4"
        return body

    def gathered(self, job: Job, now: float, base_url: str, path: str) -> Answer:
        """Answer the download request: the whole video in base64, twice."""
        del base_url, path
        if job.status(now) is not Status.SUCCEEDED:
            return Answer(status=400, body=self.refusal(400, "Video is not ready yet"))
        uri = _data_uri(job)
        body: Json = {
            "success": True,
            "generation_id": job.id,
            "task_id": job.id,
            "format": "mp4",
            "size": INLINE_BYTES,
            "base64": uri.partition(",")[2],
            "data_url": uri,
        }
        return Answer(body=body)

    def refusal(self, status: int, message: str) -> Json:
        """Return the envelope of this gateway family."""
        return _gateway_error(status, message)


class Token360:
    """``completed`` with ``url`` and ``video_url``, progress, times of its own, sometimes a last frame."""

    name = "token360"
    base_path = ""
    schemes: tuple[str, ...] = ("Bearer",)
    models: tuple[str, ...] = ("seedance-2.0", "kling-2.5")
    submit = "/v1/videos"
    statuses: tuple[str, ...] = ("/v1/videos/{id}",)
    gathers: tuple[str, ...] = ("/v1/videos/{id}/content",)
    may_cancel = False
    bills = False

    def new_id(self, dice_bits: int, model: str) -> str:
        """Return an opaque id."""
        del model
        return f"vid-{dice_bits:016x}"

    def accepted(self, job: Job, base_url: str) -> Answer:
        """Answer with the whole video object, queued."""
        return Answer(body=self.stands(job, job.created_at, base_url))

    def stands(self, job: Job, now: float, base_url: str) -> dict[str, Json]:
        """Return the video object."""
        del base_url
        status = job.status(now)
        body: dict[str, Json] = {
            "id": job.id,
            "object": "video",
            "status": LIVE_WORDS.get(status, "completed"),
            "model": job.model,
            "prompt": job.prompt,
            "created_at": int(job.created_at),
            "updated_at": int(min(now, job.ended_at)),
            "progress": int(job.progress(now) * 100),
            "parameters": {"duration": 4, "resolution": "720p", "aspect_ratio": "16:9"},
        }
        if status is Status.FAILED:
            body["error"] = {"code": "InputTextSensitiveContentDetected", "message": "The input text may be sensitive."}
        if status is Status.SUCCEEDED:
            url = f"https://cdn.example.com/{job.id}.mp4?X-Amz-Expires=3600"
            body |= {"duration": 4, "resolution": "720p", "url": url, "video_url": url}
            if _is_rare(job):
                body["content"] = {"last_frame_url": f"https://cdn.example.com/{job.id}.png"}
        return body

    def gathered(self, job: Job, now: float, base_url: str, path: str) -> Answer:
        """Answer the download request in its ``format=url`` form."""
        del base_url, path
        status = job.status(now)
        if status is not Status.SUCCEEDED:
            word = LIVE_WORDS.get(status, "completed")
            return Answer(status=400, body=self.refusal(400, f"Video is not ready yet. Current status: {word}"))
        return Answer(body={"url": f"https://cdn.example.com/{job.id}.mp4", "video_id": job.id, "expires_in": 3600})

    def refusal(self, status: int, message: str) -> Json:
        """Return the envelope without a code."""
        del status
        return {"error": {"message": message, "type": "invalid_request_error"}}


class Amux:
    """``completed``; a failed task comes with HTTP 200 and an integer code; sometimes the url is missing."""

    name = "amux"
    base_path = ""
    schemes: tuple[str, ...] = ("Bearer",)
    models: tuple[str, ...] = ("seedance-2.0", "sora-2")
    submit = "/v1/video/generations"
    statuses: tuple[str, ...] = ("/v1/video/generations/{id}", "/v1/videos/{id}")
    gathers: tuple[str, ...] = ("/v1/videos/{id}/content",)
    may_cancel = False
    bills = False

    def new_id(self, dice_bits: int, model: str) -> str:
        """Return an opaque id of the documented length or longer."""
        del model
        return f"{dice_bits:016x}"

    def accepted(self, job: Job, base_url: str) -> Answer:
        """Answer with the id and a live word."""
        del base_url
        return Answer(body={"task_id": job.id, "status": "queued"})

    def stands(self, job: Job, now: float, base_url: str) -> dict[str, Json]:
        """Return the status body; a fifth of the finished tasks have no url."""
        del base_url
        status = job.status(now)
        body: dict[str, Json] = {"task_id": job.id, "status": LIVE_WORDS.get(status, "completed")}
        if status is Status.FAILED:
            body["error"] = {"code": 50001, "message": "Upstream model rejected the prompt due to content policy."}
        if status is Status.SUCCEEDED:
            if not _is_rare(job):
                body["url"] = f"https://upstream.cdn.example.com/{job.id}/result.mp4"
            metadata: Mapping[str, Json] = {"duration": 5.0, "fps": 24, "width": 1280, "height": 720, "seed": 20231234}
            body |= {"format": "mp4", "metadata": dict(metadata)}
        return body

    def gathered(self, job: Job, now: float, base_url: str, path: str) -> Answer:
        """Answer the content proxy with bytes."""
        del base_url, path
        if job.status(now) is not Status.SUCCEEDED:
            return Answer(status=400, body=self.refusal(400, "task is not completed"))
        return Answer(body=_bytes(job), content_type="video/mp4")

    def refusal(self, status: int, message: str) -> Json:
        """Return the documented envelope, whose code is text."""
        return _gateway_error(status, message)


def _gateway_error(status: int, message: str) -> Json:
    codes = {401: "invalid_api_key", 403: "task_forbidden", 404: "task_not_found", 429: "rate_limit_exceeded"}
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "code": codes.get(status, "bad_request")}}


def _data_uri(job: Job) -> str:
    return "data:video/mp4;base64," + base64.b64encode(_bytes(job)).decode()


def _bytes(job: Job) -> bytes:
    return b"\x00\x00\x00\x20ftypisom" + Random(job.id).randbytes(INLINE_BYTES - 12)


def _is_rare(job: Job) -> bool:
    return job.script.flavour < 0.2
