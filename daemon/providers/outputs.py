"""Outputs: what a task made, as an answer tells it: URLs absolute or relative, ``data:`` URIs, base64, or objects.

The rule guarded here is that ``needs_auth`` is told only of a URL on an origin to which the key may be sent anyway.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from yarl import URL

from daemon.core.observation import Inline, Json, Output
from daemon.providers.definition import Definition, OutputSpec
from daemon.providers.excision import Cuts
from daemon.providers.expression import first_set
from daemon.providers.origin import joined, parsed
from daemon.providers.words import OutputKind

MOST = 100
_DEEPEST = 8
_STEP = 256 * 1024
_HEAD = 1024
_URL_LIMIT = 8192
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_UNFIT = re.compile(r"[\s\x00-\x1f\x7f\ud800-\udfff]")
_URL_SAFE = "%/:?#[]@!$&'()*+,;=~"
_CARRIED = frozenset({"http", "https", "gs", "s3", "oss", "r2", "az"})
_DATA = re.compile(r"data:([\w.+-]{1,127}/[\w.+-]{1,127})?((?:;[\w.=+-]{1,64}){0,8}),", re.IGNORECASE)
_MEDIA = re.compile(r"[\w.+-]{1,127}/[\w.+-]{1,127}", re.ASCII)
_ONE_ALPHABET = bytes.maketrans(b"-_", b"+/")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_STRANGERS = bytes(byte for byte in range(256) if byte not in _ALPHABET)
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
        items = _leaves(path.of(source.body), _DEEPEST)
        outputs = [told for item in items if (told := _output(spec, item, source, definition)) is not None]
        if outputs:
            return outputs
    return []


def _leaves(value: Json, depth: int) -> Iterator[Json]:
    if isinstance(value, str | dict):
        yield value
    elif isinstance(value, list) and depth:
        for item in value[:MOST]:
            yield from _leaves(item, depth - 1)


def _output(spec: OutputSpec, item: Json, source: Source, definition: Definition) -> Output | None:
    text, said, media = item, None, spec.content_type
    if isinstance(item, dict):
        text = first_set(spec.url, item)
        said = _text(spec.kind_from.of(item) if spec.kind_from else None)
        media = _text(spec.type_from.of(item) if spec.type_from else None) or media
    if not isinstance(text, str) or not text:
        return None
    inline = _inline(source.cuts.get(text, text), media, spec)
    if inline is not None:
        return Output(url="", kind=spec.kind or _kind(said, inline.content_type, ""), inline=inline)
    url = None if spec.encoding == "base64" else None if text in source.cuts else _absolute(text.strip(), source.asked)
    if url is None:
        return None
    kind = spec.kind or _kind(said, media, url.partition("?")[0])
    where = parsed(url)
    needs_auth = spec.needs_auth and where is not None and definition.allowed.covers(where)
    return Output(url=url, kind=kind, needs_auth=needs_auth)


def _inline(text: str | memoryview, media: str | None, spec: OutputSpec) -> Inline | None:
    head = _DATA.match(text if isinstance(text, str) else str(text[:_HEAD], "latin-1"))
    if head is not None:
        content = _decoded(text[head.end() :], is_base64="base64" in head[2].lower().split(";"))
        return None if content is None else Inline(content=content, content_type=(head[1] or "text/plain").lower())
    if spec.encoding != "base64":
        return None
    content = _decoded(text, is_base64=True)
    return None if not content else Inline(content=content, content_type=_media(media))


def _decoded(text: str | memoryview, *, is_base64: bool) -> bytes | None:
    try:
        raw = text if isinstance(text, memoryview) else memoryview(text.encode("utf-8"))
        if is_base64 and not any(b"%" in piece for piece in _pieces(raw)):
            return _from_base64(raw)
        plain = unquote_to_bytes(bytes(raw))
        return _from_base64(memoryview(plain)) if is_base64 else plain
    except ValueError:
        return None


def _from_base64(text: memoryview) -> bytes:
    """Decode either alphabet, padded or not; line breaks and other strangers are passed over (RFC 2045, 6.8).

    Goes step by step, so that many megabytes do not hold the interpreter's lock in one piece.
    """
    decoded, rest = [], b""
    for piece in _pieces(text):
        bare = rest + piece.translate(_ONE_ALPHABET, _STRANGERS)
        whole = len(bare) // 4 * 4
        decoded.append(b64decode(bare[:whole]))
        rest = bare[whole:]
    if len(rest) > 1:
        decoded.append(b64decode(rest + b"=" * (-len(rest) % 4)))
    return b"".join(decoded)


def _pieces(raw: memoryview) -> Iterator[bytes]:
    return (bytes(raw[start : start + _STEP]) for start in range(0, len(raw), _STEP))


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


def _media(media: str | None) -> str:
    return media.lower() if media and _MEDIA.fullmatch(media) else "application/octet-stream"


def _text(value: Json) -> str | None:
    return value[:256] if isinstance(value, str) else None
