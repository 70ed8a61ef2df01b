"""What each field of the API means, and each word of an enumeration: plain data that the OpenAPI document takes in.

Fields go by model and name, words by enumeration and value; lanes and endpoints stand in ``standing_meanings``,
parameters in ``parameter_meanings``. All three are imported only when the document is made.
"""

from __future__ import annotations

from daemon.api.standing_meanings import ENDPOINT_FIELDS, LANE_FIELDS

_NEXT = "The `cursor` of the next page; null on the last one."


_OUTPUT = {
    "url": "Where it is: absolute, or a path that begins with `/v1/tasks/` where Pollhook holds the bytes.",
    "kind": "`video`, `image`, `audio`, `text` or `file`.",
    "needs_auth": "Whether fetching it takes a credential: the provider's key, or this API's token where it is a path.",
    "expires_at": "Until when the link holds; null where neither the provider nor the link itself says.",
}
_EVENT = {
    "id": "`msg_…`; the `webhook-id` of every delivery of it.",
    "type": "What it tells, such as `task.succeeded`, `task.late` or `endpoint.disabled`.",
    "created_at": "When it was frozen.",
    "body": "What the webhook says; the exact bytes that are signed are at `/v1/events/{id}/body`.",
}
_DELIVERY = {
    "id": "`dlv_…`.",
    "event_id": "The event that is owed.",
    "event_type": "Its type, such as `task.succeeded`.",
    "task_id": "The task that it tells of; null for an event about the daemon itself, such as a test.",
    "endpoint": "The endpoint's name, or the origin of `url`.",
    "url": "The URL that the registration named; null where it goes to an endpoint by name.",
    "state": "Where it stands.",
    "attempt_count": "POSTs made so far, those before it was sent again among them.",
    "due_at": "When the next attempt is due; null unless `pending`.",
    "reason": "Why it is parked or dead, or what the last attempt met; null where there is nothing to say.",
    "created_at": "When it was first owed.",
    "updated_at": "When it last changed.",
}

FIELDS: dict[str, dict[str, str]] = {
    **ENDPOINT_FIELDS,
    **LANE_FIELDS,
    "Registration": {
        "provider": "The lane that watches it: a NAME of `[providers.NAME]`.",
        "remote_id": "The task's id at the provider, at most 2048 bytes; may be left out where `submission` holds it.",
        "submission": (
            "The provider's answer to the submit call, untouched: an object from which id, model and status URL are"
            " read where they are not given beside it."
        ),
        "status_url": (
            "Where the provider tells its status: a URL on a host that the definition allows, or an absolute path."
            " null: made from the definition."
        ),
        "webhook": "Where its events go; null: to the endpoint `default` if there is one, else to the feed alone.",
        "model": "The model's name, by which durations are learned; null: read from `submission` or the status URL.",
        "params": "Values of the definition's other variables, at most 64; `model` may stand here as well.",
        "metadata": "Yours, at most 4 KiB as JSON; comes back in the webhook and with the task.",
        "created_at": "When the provider accepted it, in the past; null: now. The first poll is planned from it.",
        "deadline": (
            "How long it is watched from now on: seconds or a span such as `30m`, 1 s to 30 d. null: as the lane says."
            " At the deadline it ends as `timed_out`."
        ),
        "first_poll_after": (
            "How long to wait for the first poll: seconds or a span such as `90s`, 0 to 30 d. null: as was learned."
        ),
        "fetch_result": (
            "Whether to send the definition's second request, the one for the result, after a success: true also where"
            " it waits to be asked for, false never, null as the definition says."
        ),
        "save_outputs": (
            "Whether outputs are fetched and kept: true after the end is told, `before_event` before it is, false not"
            " at all; null as the lane says."
        ),
        "recheck": "false: once it has timed out it is not asked about again; null or true: as the lane says.",
        "events": (
            "Events wanted while it lives: `running` when it starts to run, `progress` whenever its progress changes."
            " The `terminal` one is always told."
        ),
    },
    "WebhookTarget": {
        "endpoint": "The name of a configured endpoint.",
        "url": "An http or https URL of at most 4096 characters that the egress rules allow.",
    },
    "Batch": {"tasks": "The registrations."},
    "BatchAnswer": {"data": "One answer for each registration, in the order they were sent."},
    "BatchItem": {
        "status": "What it would have been answered alone: 201 new, 200 watched already, or the problem's status.",
        "task": "The task, where it was taken.",
        "problem": "Why not, where it was not.",
    },
    "TaskShown": {
        "id": "`tsk_…`.",
        "provider": "The lane that watches it.",
        "remote_id": "Its id at the provider.",
        "model": "The model's name; null where neither the registration nor the provider's answer told it.",
        "status": "Where it stands; one that has ended never changes again.",
        "progress": "From 0 to 1; null as long as the provider has not told it.",
        "queue_position": "Its place in the provider's queue as last told, 0 or more; null where it was not.",
        "outputs": "What it made; empty as long as it lives.",
        "error": "Why it did not succeed; null as long as it lives, after a success, and where it was stopped.",
        "metadata": "As registered.",
        "created_at": "When the provider accepted it, by its own word or the registration's; else `registered_at`.",
        "registered_at": "When Pollhook took it.",
        "updated_at": "When anything shown here last changed by news of it, or when it ended.",
        "ended_at": "When Pollhook ended it; null as long as it lives.",
        "deadline_at": "When it ends as `timed_out` unless it has ended before.",
        "polls": "Polls made so far.",
        "next_poll_at": "When the next poll is due; null once it has ended.",
        "next_poll_reason": "Why then, in words; null once it has ended.",
        "last_miss": "Why the last poll brought no news, as `kind: detail`; null after one that did.",
        "webhook": "Where its events go; null: to the feed alone.",
        "event_id": "The event that told its end; null until there is one, and where it was stopped.",
        "late": "How the provider ended it after it had timed out here; null unless that was seen.",
    },
    "TaskList": {"data": "The tasks.", "next": _NEXT},
    "OutputShown": _OUTPUT,
    "TaskOutputShown": {**_OUTPUT, "saved": "How Pollhook's copy stands; null where none is wanted."},
    "SavedShown": {
        "state": "Where the copy stands.",
        "bytes": "Its size; null unless `saved`.",
        "sha256": "The SHA-256 of its bytes in hexadecimal; null unless `saved`.",
        "content_type": "Its content type; null unless `saved`.",
        "reason": "Why it failed, or what the last try met; null where there is nothing to say.",
    },
    "ErrorShown": {
        "code": "The provider's own code as text, or Pollhook's for an end of its own; null where there is none.",
        "message": "The provider's own message, or what Pollhook saw; at most 4096 characters.",
        "kind": "What kind of failure it is, the same word for every provider; `provider` where no other fits.",
    },
    "WebhookShown": {
        "endpoint": "The endpoint's name; left out where it is a URL.",
        "url": "The URL; left out where it is an endpoint.",
    },
    "LateShown": {
        "status": "What the provider ended it as.",
        "outputs": "What it made.",
        "error": "Why it did not succeed; null where it did.",
        "finished_at": "When it ended by the provider's word; null where that was not told.",
        "detected_at": "When the re-check saw it.",
        "event_id": "The `task.late` event that told it.",
    },
    "ResultShown": {
        "task_id": "The task.",
        "outputs": "The outputs read from the result.",
        "response": "The provider's answer as JSON, free of keys and inline bytes; null where it is left out.",
        "requested_at": "When the request was about to be sent.",
        "stored_at": "When its answer was stored; null where none was seen.",
    },
    "ResultWish": {
        "repeat": "true: send the request although an earlier one is unresolved and may have been billed.",
    },
    "EventShown": _EVENT,
    "EventWithDeliveries": {**_EVENT, "deliveries": "Where it is or was owed; empty where it is in the feed alone."},
    "EventFeed": {"data": "The events.", "next": "Where to go on, as `after`; never null, also when `data` is empty."},
    "DeliveryShown": _DELIVERY,
    "DeliveryWithAttempts": {**_DELIVERY, "attempts": "The POSTs that are still logged, see `[retention] attempts`."},
    "DeliveryList": {"data": "The deliveries.", "next": _NEXT},
    "AttemptShown": {
        "number": "Which POST of its delivery, from 1.",
        "started_at": "When it began.",
        "seconds": "How long it took, in seconds; null where the target was not allowed.",
        "http_status": "The status of the answer; null where none came.",
        "refusal": "Why it failed; null where the endpoint took the event.",
        "detail": "The same in words; null where the endpoint took it or the target was not allowed.",
        "address": "The address that was connected to; null where none was, or the target was not allowed.",
        "due_at": "When it was due; it began later by as long as it waited in line. null where that is not known.",
        "stages": "Where the time went.",
        "keys": "Fingerprints of the keys that signed it.",
        "next_at": "When the next attempt was planned for; null where there was to be none.",
        "next_why": "Why then, or why there was to be none; null after a success.",
        "response": "The first 1 KiB of the answer, secrets masked; null unless the endpoint has `store_response`.",
    },
    "StagesShown": {
        "dns": "Resolving the name.",
        "connect": "Connecting.",
        "tls": "The TLS handshake.",
        "first_byte": "Waiting for the first byte of the answer.",
    },
    "ProblemDocument": {
        "type": "`urn:pollhook:problem:` and the code.",
        "title": "A short sentence, the same for every occurrence of the code.",
        "status": "The HTTP status.",
        "code": "The stable name of the problem.",
        "detail": "What happened this time, and where there is one, what helps.",
        "errors": "Every bad field; left out where none is to blame.",
        "retry_after": "Seconds after which to ask again; left out where asking again would not help.",
    },
    "FieldProblem": {
        "field": "Where it stands, such as `webhook.endpoint`; `(body)` for the whole.",
        "message": "What was wrong, what was found, what is allowed.",
    },
    "Health": {"status": "`ok`; anything else is a problem document."},
}

WORDS: dict[str, dict[str, str]] = {
    "Status": {
        "queued": "waits at the provider, or was not seen yet",
        "running": "is being made",
        "succeeded": "the provider says: done, and it worked",
        "failed": "the provider says: done, and it did not work",
        "canceled": "the provider says: ended because somebody asked so",
        "expired": "the provider says: ended or forgotten because it took too long",
        "lost": "the provider did not know it, or forbade it, in several answers in a row",
        "timed_out": "had not ended by its deadline here; the provider may still be at work",
        "stopped": "a caller stopped watching it",
    },
    "DeliveryState": {
        "pending": "an attempt is due or planned",
        "delivered": "the endpoint took it with a 2xx",
        "parked": "waits until its endpoint is enabled or there again",
        "dead": "given up; it can be sent again",
    },
    "Refusal": {
        "http_status": "an answer that is neither 2xx nor 3xx nor 410",
        "redirect": "a 3xx, which is never followed",
        "gone": "410: the endpoint is disabled",
        "timeout": "no answer within the endpoint's timeout",
        "dns": "its name could not be resolved",
        "connect": "no connection",
        "tls": "no TLS, such as for a certificate that is not trusted",
        "protocol": "the answer was no HTTP that could be read",
        "target_not_allowed": "the egress rules do not let it go there",
        "endpoint_unconfigured": "no endpoint of that name is configured",
    },
    "SaveState": {
        "pending": "is still to be fetched",
        "saved": "is here",
        "failed": "given up, for the reason beside it",
    },
}
