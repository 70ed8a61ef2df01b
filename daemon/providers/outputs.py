"""Outputs: what a task made, as an answer tells it: URLs absolute or relative, ``data:`` URIs, base64, or objects.

The rule guarded here is that ``needs_auth`` is told only of a URL on an origin to which the key may be sent anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from urllib.parse import quote

from yarl import URL

from daemon.core.observation import Json, Output
from daemon.providers.definition import Definition
from daemon.providers.definition_outputs import OutputSpec
from daemon.providers.excision import Cuts
from daemon.providers.expression import first_set
from daemon.providers.fields import first_instant
from daemon.providers.inline import inlined, textual
from daemon.providers.origin import joined, parsed
from daemon.providers.words import OutputKind

MOST = 100
_DEEPEST = 8
_DEEPEST_COLLECTED = 16
_URL_LIMIT = 8192
_COLLECTED = re.compile(r"https?://[^\s]|data:[\w;,]|\[inline bytes, \d", re.IGNORECASE)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_UNFIT = re.compile(r"[\s\x00-\x1f\x7f\ud800-\udfff]")
_URL_SAFE = "%/:?#[]@!$&'()*+,;=~"
_CARRIED = frozenset({"http", "https", "gs", "s3", "oss", "r2", "az"})
_KINDS: dict[str, OutputKind] = {"video": "video", "image": "image", "audio": "audio", "text": "text"}
_BY_KIND: dict[OutputKind, str] = {
    "video": "mp4 webm mov mkv m4v avi",
    "image": "png jpg jpeg webp gif avif bmp",
    "audio": "mp3 wav ogg flac m4a aac opus",
    "text": "txt json jsonl srt vtt csv",
}
_EXTENSIONS = {extension: kind for kind, listed in _BY_KIND.items() for extension in listed.split()}


@dataclass(frozen=True, slots=True)
class Source:
    """An answer as outputs are read from it: its body, what was cut out of that, and the URL that was asked."""

    body: Json
    asked: URL
    cuts: Cuts


def outputs_of(specs: Iterable[OutputSpec], source: Source, definition: Definition) -> tuple[Output, ...]:
    """Return what *specs* find in *source*, each URL once; may raise ExpressionFailed."""
    found: dict[str | int, Output] = {}
    for spec in specs:
        for output in _first_with_outputs(spec, source, definition):
            found.setdefault(output.url or len(found), output)
    return tuple(found.values())[:MOST]


def _first_with_outputs(spec: OutputSpec, source: Source, definition: Definition) -> list[Output]:
    for path in spec.path:
        items = _items(spec, path.of(source.body))
        outputs = [told for item in items if (told := _output(spec, item, source, definition)) is not None]
        if outputs:
            return outputs
    return []


def _items(spec: OutputSpec, value: Json) -> Iterator[Json]:
    if spec.encoding == "text":
        return iter([value])
    return islice(collected(value), 10 * MOST) if spec.collect else _leaves(value, _DEEPEST)


def collected(value: Json) -> Iterator[str]:
    """Yield every http(s) URL and ``data:`` URI in *value*, in order, however deep down to 16 levels."""
    stack = [(value, _DEEPEST_COLLECTED)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, str):
            if _COLLECTED.match(item):
                yield item
        elif isinstance(item, dict | list) and depth:
            below = list(item.values()) if isinstance(item, dict) else item
            stack += [(inner, depth - 1) for inner in reversed(below)]


def _leaves(value: Json, depth: int) -> Iterator[Json]:
    if isinstance(value, str | dict | int):
        yield value
    elif isinstance(value, list) and depth:
        for item in value[:MOST]:
            yield from _leaves(item, depth - 1)


def _output(spec: OutputSpec, item: Json, source: Source, definition: Definition) -> Output | None:
    if spec.encoding == "text":
        return textual(item, source.cuts, spec)
    output = _located(spec, item, source, definition)
    if output is None or not spec.expires_at:
        return output
    at = first_instant(spec.expires_at, item) if isinstance(item, dict) else None
    return replace(output, expires_at=at or first_instant(spec.expires_at, source.body))


def _located(spec: OutputSpec, item: Json, source: Source, definition: Definition) -> Output | None:
    text, said, media = item, None, spec.content_type
    if isinstance(item, dict):
        text = first_set(spec.url, item) if spec.template is None else None
        said = _text(spec.kind_from.of(item) if spec.kind_from else None)
        media = _text(spec.type_from.of(item) if spec.type_from else None) or media
    if spec.template is not None:
        text = spec.template.filled(item, definition.base_text)
    if not isinstance(text, str) or not text:
        return None
    inline = inlined(source.cuts.get(text, text), media, spec)
    if inline is not None:
        return Output(url="", kind=spec.kind or _kind(said, inline.content_type, ""), inline=inline)
    url = None if spec.encoding == "base64" else None if text in source.cuts else _absolute(text.strip(), source.asked)
    if url is None:
        return None
    kind = spec.kind or _kind(said, media, url.partition("?")[0])
    where = parsed(url)
    needs_auth = spec.needs_auth and where is not None and definition.allowed.covers(where)
    return Output(url=url, kind=kind, needs_auth=needs_auth)


def _absolute(text: str, asked: URL) -> str | None:
    if len(text) > _URL_LIMIT or _UNFIT.search(text):
        return None
    scheme = _SCHEME.match(text)
    if scheme is not None:
        return text if scheme[1].lower() in _CARRIED else None
    url = joined(asked, quote(text, safe=_URL_SAFE))
    return None if url is None else str(url)


def _kind(said: str | None, media: str | None, path: str) -> str:
    for word in (said, media):
        kind = _KINDS.get((word or "").split("/", maxsplit=1)[0].lower())
        if kind is not None:
            return kind
    return _EXTENSIONS.get(path.rpartition(".")[2].lower(), "file")


def _text(value: Json) -> str | None:
    return value[:256] if isinstance(value, str) else None
