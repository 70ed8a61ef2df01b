"""Settings as they may be shown: the effective configuration with its secrets masked, and the list of all fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from daemon.config.settings import Settings
from daemon.core.redaction import MASK, names_secret

Shown: TypeAlias = "bool | int | float | str | list[Shown] | dict[str, Shown] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One setting: its dotted path (``*`` for any name), its default as JSON, and whether it must be given."""

    path: str
    default: Shown
    is_required: bool


def describe(settings: Settings) -> dict[str, Shown]:
    """Return the effective configuration as JSON-able values: spans as words, every secret masked."""
    plain: dict[str, Shown] = settings.model_dump(mode="json")
    return {group: _masked(group, value) for group, value in plain.items()}


def secrets(settings: Settings) -> list[str]:
    """Return every secret value the settings hold, for the log's redactor."""
    found: list[str] = []
    for own in settings.endpoints.values():
        held = (own.secret, own.signing_key, *own.previous_secrets, *own.headers.values())
        found += [secret.get_secret_value() for secret in held if secret is not None]
    for table in settings.providers.values():
        found += _texts(table)
    return found


def fields() -> Iterator[Field]:
    """Yield every setting there is, group by group, in the order of the models."""
    yield from _fields(Settings, "")


def _fields(model: type[BaseModel], prefix: str) -> Iterator[Field]:
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is None:
            yield _field(model, name, field, prefix)
        else:
            below = f"{prefix}{name}." + ("*." if get_origin(field.annotation) is dict else "")
            yield from _fields(inner, below)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, BaseModel) else None
    inner = get_args(annotation)
    return _model_in(inner[1]) if get_origin(annotation) is dict else None


def _field(model: type[BaseModel], name: str, field: FieldInfo, prefix: str) -> Field:
    if field.is_required():
        return Field(path=prefix + name, default=None, is_required=True)
    default = field.get_default(call_default_factory=True, validated_data={})
    shown: dict[str, Shown] = model.model_construct(**{name: default}).model_dump(mode="json", include={name})
    return Field(path=prefix + name, default=shown[name], is_required=False)


def _masked(name: str, value: Shown) -> Shown:
    if isinstance(value, dict):
        return {key: _masked(key, inner) for key, inner in value.items()}
    if names_secret(name) and value not in (None, [], ""):
        return MASK
    if isinstance(value, list):
        return [_masked("", inner) for inner in value]
    if isinstance(value, str) and "://" in value and "?" in value:
        return value.partition("?")[0] + "?…"
    return value


def _texts(value: object, name: str = "") -> list[str]:
    """Return the texts below *value* whose key names a secret."""
    if isinstance(value, dict):
        return [text for key, inner in value.items() for text in _texts(inner, str(key))]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner, name)]
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return [value] if isinstance(value, str) and value and names_secret(name) else []
