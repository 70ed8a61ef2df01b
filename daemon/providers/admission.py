"""Admission: what a definition makes of a registration before anything is watched.

Whatever would make every later poll fail is told to the caller now, all of it at once.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace

from yarl import URL

from daemon.core.errors import FieldError, InvalidRegistration
from daemon.core.observation import Json
from daemon.core.record import Admission, Application
from daemon.providers.definition import Definition
from daemon.providers.expression import ExpressionFailed, Paths, first_set
from daemon.providers.request import Requests
from daemon.providers.template import Unbuildable
from daemon.providers.words import text_of

ID_LIMIT = 2048
MODEL_LIMIT = 256
PARAMS_LIMIT = 32
NAME_LIMIT = 64
VALUE_LIMIT = 2048
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.~-]{0,127}")
"""Characters that stand for themselves in a path, a query, a header and JSON."""


def admit(requests: Requests, application: Application) -> Admission:
    """Hold *application* against the definition: what it says itself goes before what its submission says.

    Raises InvalidRegistration with every bad field, or HostNotAllowed for a status URL off the allowed origins.
    """
    definition = requests.account.definition
    errors = list(_misfits(application))
    if errors:
        raise InvalidRegistration(errors)
    admission = _completed(requests, _filled(definition, application))
    errors = list(_bad_fields(requests, application, admission))
    if errors:
        raise InvalidRegistration(errors)
    return _without_plain_url(requests, admission)


class Admissions:
    """Admits applications to one account.

    Whether a request can be built of an id and a model of plain characters does not depend on which they are, so what
    was found of the first such pair holds for all of them.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._plain: set[tuple[bool, bool | None]] = set()

    def admit(self, application: Application) -> Admission:
        """Hold *application* against the definition, see ``admit``."""
        remote_id, model = application.remote_id, application.model
        if remote_id is None or not _is_plain(application):
            return admit(self._requests, application)
        simple = Admission(remote_id=remote_id, model=model, params=(), status_url=None)
        kind = (model is None, application.fetch_result)
        if kind not in self._plain:
            admission = admit(self._requests, application)
            if admission != simple:
                return admission
            self._plain.add(kind)
        return simple


def _is_plain(application: Application) -> bool:
    if application.params or application.submission is not None or application.status_url is not None:
        return False
    model = application.model
    return _PLAIN.fullmatch(application.remote_id or "") is not None and (
        model is None or _PLAIN.fullmatch(model) is not None
    )


def _misfits(application: Application) -> Iterator[FieldError]:
    if application.submission is not None and not isinstance(application.submission, dict):
        yield FieldError(field="submission", message="must be the object the provider answered to the submit call")
    if len(application.params) > PARAMS_LIMIT:
        yield FieldError(field="params", message=f"at most {PARAMS_LIMIT} of them, got {len(application.params)}")
    for name, value in application.params[:PARAMS_LIMIT]:
        if complaint := _complaint(name, NAME_LIMIT):
            yield FieldError(field="params", message=f"a name {complaint}")
        elif complaint := _complaint(value, VALUE_LIMIT):
            yield FieldError(field=f"params.{name}", message=complaint)


def _filled(definition: Definition, application: Application) -> Admission:
    """Take from the submission what the registration leaves out."""
    spec, body = definition.submission, application.submission
    return Admission(
        remote_id=application.remote_id if application.remote_id is not None else _found(spec.id, body) or "",
        model=application.model or _found(spec.model, body),
        params=application.params,
        status_url=application.status_url or _found(spec.status_url, body),
    )


def _completed(requests: Requests, admission: Admission) -> Admission:
    """Resolve the status URL, and read from it the variables that nobody else gave; may raise HostNotAllowed."""
    if admission.status_url is None:
        return admission
    url = requests.allowed_url(admission.status_url)
    told = requests.read_back(url)
    known = dict(admission.params)
    params = tuple((name, value) for name, value in told.items() if name not in ("id", "model") and name not in known)
    return replace(
        admission,
        remote_id=admission.remote_id or told.get("id", ""),
        model=admission.model or (told.get("model") if "model" not in known else None),
        params=(*admission.params, *params),
        status_url=str(url),
    )


def _bad_fields(requests: Requests, application: Application, admission: Admission) -> Iterator[FieldError]:
    definition = requests.account.definition
    if complaint := _complaint(admission.remote_id, ID_LIMIT):
        yield FieldError(field="remote_id", message=complaint + _where_ids_stand(definition, application))
    if admission.model is not None and (complaint := _complaint(admission.model, MODEL_LIMIT)):
        yield FieldError(field="model", message=complaint)
    if admission.status_url is not None and requests.is_result(URL(admission.status_url, encoded=True)):
        field = "status_url" if application.status_url else "submission"
        yield FieldError(field=field, message=_no_result_url(definition))
    if definition.submission.use == "status_url" and admission.status_url is None:
        yield FieldError(field="status_url", message=_only_by_url(definition))
    given = {*definition.variables, *dict(admission.params), "id", "uuid"} | ({"model"} if admission.model else set())
    missing = [name for name in _needed(definition, application, admission) if name not in given]
    if missing:
        listed = ", ".join(f"params.{name}{' or model' if name == 'model' else ''}" for name in missing)
        yield FieldError(field="params", message=f"{definition.name} needs {listed}")


def _needed(definition: Definition, application: Application, admission: Admission) -> Iterable[str]:
    """The variables of every request that will be sent without anybody being asked again."""
    spec = definition.status
    names = dict.fromkeys(spec.side_names if admission.status_url else spec.names)
    result = definition.result
    if result is not None:
        wanted = application.fetch_result
        if wanted or (wanted is None and result.when == "succeeded"):
            names |= dict.fromkeys(result.own_names)
    return names


def _without_plain_url(requests: Requests, admission: Admission) -> Admission:
    """Drop a status URL that the template makes anyway; refuse variables that no request can carry."""
    definition = requests.account.definition
    template = definition.status.request
    given = requests.values(admission.remote_id, admission.model, admission.params)
    for name in template.names:
        try:
            template.part(name).filled(given)
        except Unbuildable as refusal:
            if admission.status_url is None:
                field = {"id": "remote_id", "model": "model" if admission.model else "params.model"}.get(name)
                raise InvalidRegistration(
                    [FieldError(field=field or f"params.{name}", message=str(refusal))]
                ) from refusal
            return admission
    try:
        plain = requests.built(definition.status, given)
    except Unbuildable as refusal:
        raise InvalidRegistration([FieldError(field="params", message=str(refusal))]) from refusal
    is_plain = definition.submission.use == "either" and str(plain.url) == admission.status_url
    return replace(admission, status_url=None) if is_plain else admission


def _only_by_url(definition: Definition) -> str:
    places = " or ".join(f"`{path.text}`" for path in definition.submission.status_url)
    return f"is needed by {definition.name}; give it, or as submission the provider's answer with it at {places}"


def _no_result_url(definition: Definition) -> str:
    costs = "bills" if definition.result and definition.result.bills else "is sent only when asked for"
    return (
        f"is the URL of {definition.name}'s result request, which {costs}; as status_url send that of "
        f"{definition.status.request.text}, or leave it out and give remote_id"
    )


def _where_ids_stand(definition: Definition, application: Application) -> str:
    places = " or ".join(f"`{path.text}`" for path in definition.submission.id)
    if application.remote_id is not None or not places:
        return ""
    return f"; give remote_id, or as submission the provider's answer with the id at {places}"


def _found(paths: Paths, body: Json) -> str | None:
    try:
        value = first_set(paths, body)
        return text_of(value)
    except (ExpressionFailed, ValueError):
        return None


def _complaint(text: str, limit: int) -> str | None:
    if not text.strip():
        return "is missing or empty"
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > limit:
        return f"is {size} bytes long; at most {limit} are allowed"
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        return "must hold no control characters"
    return None
