"""The part of the definition language that says where outputs stand, and what is made of what stands there."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from daemon.providers.expression import Path, Paths
from daemon.providers.limits import Table
from daemon.providers.output_template import OutputUrl
from daemon.providers.words import OutputKind


class OutputSpec(Table):
    """Where outputs stand: URLs, ``data:`` URIs or (``encoding = "base64"``) bare base64, or objects that hold them.

    ``path`` is a list of alternatives of which the first with an output wins. In objects the URL stands at ``url``,
    the kind at ``kind_from`` or in the content type at ``type_from``; ``expires_at`` is looked for there, then in the
    whole body. ``collect`` takes every http(s) or ``data:`` string below the path, whatever the keys on the way.
    ``template`` builds the URL from the fields of an object, or from a ``{value}`` that stands at the path.
    ``encoding = "text"`` takes what stands at the path as the output itself: text as it is, all else as JSON.
    ``needs_auth`` is told only of outputs on an origin to which the key may go, so that nobody is led to send it
    elsewhere.
    """

    path: Paths
    url: Paths = Field(default=("url",), validate_default=True)
    collect: bool = False
    template: OutputUrl | None = None
    kind: OutputKind | None = None
    kind_from: Path | None = None
    type_from: Path | None = None
    encoding: Literal["url", "base64", "text"] = "url"
    content_type: str | None = None
    expires_at: Paths = ()
    needs_auth: bool = False

    @model_validator(mode="after")
    def _is_read_in_one_way(self) -> OutputSpec:
        ways = [self.collect, self.template is not None, self.encoding != "url"]
        if sum(ways) > 1:
            raise ValueError("only one of collect, template and encoding can be set")
        return self


def _specs(value: object) -> object:
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple({"path": item} if isinstance(item, str) else item for item in items)


Outputs: TypeAlias = Annotated[tuple[OutputSpec, ...], BeforeValidator(_specs)]
"""A list of specs whose outputs are told one after the other; a bare expression is a spec with that path."""
