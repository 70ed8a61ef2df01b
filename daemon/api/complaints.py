"""What is wrong with a request's fields, all of it at once and in our own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from daemon.core.errors import FieldError

_KINDS = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "list_type": "an array",
    "tuple_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_JSON_NAMES: dict[type, str] = {
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def field_errors(error: ValidationError, model: type[BaseModel]) -> list[FieldError]:
    """Return one error per bad field of *model*, each with its dotted path and a whole sentence."""
    return [_field_error(detail, model) for detail in error.errors(include_url=False)]


def summary(errors: Sequence[FieldError]) -> str:
    """Return all of *errors* as the detail of one problem."""
    return "; ".join(error.message for error in errors)[:2000]


def _field_error(detail: ErrorDetails, model: type[BaseModel]) -> FieldError:
    path = ".".join(str(part) for part in detail["loc"])[:200] or "(body)"
    return FieldError(field=path, message=_sentence(path, detail, model))


def _sentence(path: str, detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return _unknown(path, _nested(model, detail["loc"][:-1]))
    if kind == "missing":
        return f"{path} is required"
    if kind in _KINDS:
        return f"{path} must be {_KINDS[kind]}, got {_JSON_NAMES.get(type(detail['input']), 'something else')}"
    said = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if kind == "pollhook":
        return said if said.startswith(f"{path} ") else f"{path} {said}"
    return f"{path} must be {said}" if detail["msg"].startswith("Input should be ") else f"{path}: {said}"


def _unknown(path: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(path.rpartition(".")[2], known, n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(known)}"
    return f'unknown field "{path}"; {hint}'


def _nested(model: type[BaseModel], path: Sequence[str | int]) -> Mapping[str, object]:
    for part in path:
        field = model.model_fields.get(str(part))
        inner = [kind for kind in _types(field.annotation if field else None) if issubclass(kind, BaseModel)]
        if not inner:
            return {}
        model = inner[0]
    return model.model_fields


def _types(annotation: object) -> list[type]:
    options = getattr(annotation, "__args__", (annotation,))
    return [option for option in options if isinstance(option, type)]
