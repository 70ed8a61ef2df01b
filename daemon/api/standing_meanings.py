"""What each field of lanes and endpoints means; see ``meanings``."""

from __future__ import annotations

_ALWAYS_WHOLE = "Always null: the list is whole."
_TYPES = "Types of events it wants, such as `task.failed`, or families, such as `task.*`; empty: all."
_PROVIDERS = "Lanes whose task events it wants; empty: all."
_WHERE = "A JMESPath predicate over the event, which is owed only where it holds; null: whatever the event says."

_ENDPOINT = {
    "name": "Its name.",
    "url": "Where events go; a query, which may hold a token, is shown as `?…`.",
    "source": "`config`: written in the config file, read-only here; `api`: written over this API.",
    "state": "`ok`; `failing`: single probes, events wait; `disabled`: nothing is sent, events are parked.",
    "reason": "Why it is failing or disabled; null while `ok`.",
    "since_at": "Since when; null while `ok`.",
    "keys": "Fingerprints of the keys that sign at present.",
    "timeout": "Seconds that one attempt may take, from DNS to the end of the answer.",
    "concurrency": "Attempts that may be under way at once.",
    "in_flight": "Attempts under way now.",
    "pending": "Deliveries that are due or planned.",
    "parked": "Deliveries that wait for it to be enabled.",
    "dead": "Deliveries that were given up.",
    "headers": "The names of the headers sent along with every event; their values are never shown.",
    "events": _TYPES,
    "providers": _PROVIDERS,
    "where": _WHERE,
    "rate": "Attempts per second; null: no limit.",
    "schedule": "Seconds to wait after the first attempt, after the second, and so on; each drawn from its upper half.",
    "disable_after": "Seconds of failing without one success after which it is disabled.",
    "has_ca": "Whether it trusts authorities of its own beside the system's.",
    "store_response": "Whether the attempt log keeps the first 1 KiB of each answer.",
    "public_key": "The Ed25519 key that verifies its `v1a` signatures; null where it has no key pair.",
    "rotation_ends_at": "When the last of its older keys stops signing; null where none signs.",
}

ENDPOINT_FIELDS: dict[str, dict[str, str]] = {
    "EndpointShown": _ENDPOINT,
    "EndpointList": {"data": "The endpoints.", "next": _ALWAYS_WHOLE},
    "EndpointRevealed": {
        **_ENDPOINT,
        "secret": "The `whsec_…` secret, told at the creation and after its rotation; else null.",
        "signing_key": "The `whsk_…` private key, told when it was generated and after its rotation; else null.",
    },
    "EndpointForm": {
        "url": "Where events go: http or https, at most 4096 characters, and allowed by the egress rules.",
        "secret": "A `whsec_…` secret that signs from now on; null: the one there is, or a new one at the creation.",
        "signing_key": "A `whsk_…` key, or `generate`, that signs (v1a) beside the secret; null: as it is.",
        "headers": "Sent along with every event, at most 32; they are never shown again.",
        "timeout": "How long one attempt may take: seconds or a span, 1 ms to 10 min; null: that of `[delivery]`.",
        "concurrency": "Attempts that may be under way at once; null: that of `[delivery]`.",
        "rate": "Attempts per second; null: no limit.",
        "schedule": (
            "Waits after the first attempt, at most 100, in seconds or spans, each drawn from its upper half;"
            " null: that of `[delivery]`."
        ),
        "events": _TYPES,
        "providers": _PROVIDERS,
        "where": _WHERE,
        "disable_after": (
            "How long it may fail without one success before it is disabled: seconds or a span;"
            " null: that of `[delivery]`."
        ),
        "ca": "PEM certificates of authorities trusted beside the system's; null: none.",
        "store_response": "true: the attempt log keeps the first 1 KiB of each answer, secrets masked.",
    },
    "RotationForm": {
        "kind": "Which key is new: the `secret` (v1), or the `signing_key` (v1a).",
        "grace": (
            "How long the older keys still sign: seconds or a span, at most 7 d; null: 1 d. 0 stops them at once,"
            " which a leaked key needs."
        ),
        "key": "The new key itself; null: one is made.",
    },
    "ReplayForm": {
        "since": "Deliveries made from then on.",
        "until": "Deliveries made before then, later than `since`; null: now.",
        "states": "Deliveries that stand so.",
        "dry_run": "true: only count them, send nothing.",
    },
    "ReplayShown": {
        "dry_run": "Whether nothing was sent.",
        "count": "Deliveries found.",
        "by_state": "How many of them stood in each state; one without any is left out.",
        "oldest_at": "When the first of them was made; null where there are none.",
        "newest_at": "When the last of them was made; null where there are none.",
    },
}

LANE_FIELDS: dict[str, dict[str, str]] = {
    "LaneList": {"data": "The lanes.", "next": _ALWAYS_WHOLE},
    "LaneShown": {
        "name": "Its name, which registrations give as `provider`.",
        "preset": "The definition it stands on.",
        "base_url": "Scheme, host and the path in front of every request.",
        "state": (
            "`ok`; `held`: the provider asked to wait; `outage`: single probes; `parked`: the key was refused;"
            " `unconfigured`: the configuration no longer has it, its tasks are kept."
        ),
        "reason": "Why, in words; null while `ok`.",
        "since_at": "Since when it is in an outage or parked; else null.",
        "resumes_at": "When the next try may start; null where nothing is waited for, or a probe is out.",
        "tasks": "Tasks that it watches.",
        "in_flight": "Requests under way.",
        "rate": "Polls per second at most, of all its tasks together; null: no limit.",
        "burst": "Polls that may go at once after a rest.",
        "concurrency": "Requests that may be under way at once.",
        "min_gap": "The shortest time between two polls of a task, in seconds.",
        "max_gap": "The longest, in seconds; null: no limit.",
        "deadline": (
            "Seconds that a task is watched where neither its registration nor what was learned says otherwise;"
            " null: no limit."
        ),
        "price": "Seconds of mean detection delay that one poll is worth now; rises where the lane cannot keep up.",
        "typical": "The median seconds from submit to end that are expected before anything was learned.",
        "polls": "Polls since the daemon started.",
        "misses": "Polls since then that brought no news, by kind.",
        "last_miss": "The last of them, as `kind: detail`; null: none since then.",
        "last_miss_at": "When that was.",
        "unknown_words": "The last status words that the definition does not know, each once.",
        "reading_troubles": "The last answers that were JSON and could not be read: why, and their shape; at most 5.",
        "durations": "What was learned of how long tasks take, at most 50 models.",
        "evidence": (
            "What the definition was written from: `documented`, `sdk`, `code`, `third-party`, or `unverified` where it"
            " says nothing."
        ),
    },
    "DurationsShown": {
        "model": "The model; null: all tasks of the lane.",
        "endings": "How many endings it rests on; older ones count for less.",
        "p10": "Seconds by which 10 of 100 have ended.",
        "p50": "Seconds by which half have ended.",
        "p90": "Seconds by which 90 of 100 have ended.",
    },
}
