"""The definition language: what is wrong is said with place and cure, and nothing wrong is let in."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from daemon.providers.account import Account
from daemon.providers.catalog import Catalog, load
from daemon.providers.check import check_examples
from daemon.providers.definition import Definition
from daemon.providers.expression import compiled, first_present, first_set
from daemon.providers.mistakes import DefinitionError
from daemon.providers.origin import entry, origin_of
from daemon.providers.template import Unbuildable, template
from daemon.providers.words import text_of

MINE = {
    "base_url": "https://api.example.com/base/",
    "status": {
        "request": "GET /t/{id}",
        "state": "state",
        "states": {"running": ["busy"], "succeeded": ["done"], "failed": ["broken"]},
    },
}


def refusal(catalog: Catalog, name: str, **table: object) -> str:
    with pytest.raises(DefinitionError) as caught:
        catalog.account(name, table)
    return str(caught.value)


def test_a_lane_overrides_whatever_its_preset_says(catalog: Catalog) -> None:
    account = catalog.account(
        "second",
        {
            "preset": "amux",
            "api_key": " key-123\n",
            "rate": 3,
            "min_gap": "4s",
            "deadline": "2h",
            "base_url": "http://127.0.0.1:8000",
            "typical": {"duration": "3m"},
            "limits": {"retention": "1h"},
            "auth": {"format": "Key {key}"},
        },
    )

    limits = account.definition.limits
    assert (account.name, account.preset, account.api_key) == ("second", "amux", "key-123")
    assert (limits.rate, limits.min_gap, limits.deadline, limits.retention) == (3.0, 4.0, 7200.0, 3600.0)
    assert account.definition.typical.duration == 180.0
    assert account.headers["Authorization"] == "Key key-123"
    assert account.definition.status.states.table["completed"] == "succeeded"


def test_a_whole_definition_can_stand_in_the_config(catalog: Catalog) -> None:
    account = catalog.account("mine", MINE | {"api_key": "k"})

    assert account.definition.base_text == "https://api.example.com/base"
    assert account.preset == "mine"


def test_an_account_shows_no_key(catalog: Catalog) -> None:
    assert "top-secret" not in repr(catalog.account("amux", {"api_key": "top-secret"}))


def test_no_gap_outlasts_half_the_retention(catalog: Catalog) -> None:
    account = catalog.account("amux", {"api_key": "k", "max_gap": "5m", "limits": {"retention": "2m"}})

    assert account.definition.limits.longest_gap == 60.0


def test_a_missing_key_is_named_with_all_three_places(catalog: Catalog) -> None:
    assert refusal(catalog, "amux") == (
        "provider amux has no api_key; set [providers.amux] api_key, "
        "POLLHOOK_PROVIDERS__AMUX__API_KEY or the credential file providers__amux__api_key"
    )


def test_an_unknown_preset_names_the_nearest_and_lists_all(catalog: Catalog) -> None:
    told = refusal(catalog, "seacluod", api_key="k")

    assert 'did you mean "seacloud"?' in told
    assert all(name in told for name in catalog.names)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"rat": 1}, 'unknown key "rat"; did you mean "rate"?'),
        ({"limits": {"mingap": 1}}, 'unknown key "limits.mingap"; did you mean "min_gap"?'),
        ({"status": {"states": {"suceeded": []}}}, 'unknown key "status.states.suceeded"; did you mean "succeeded"?'),
        ({"rate": 0}, "limits.rate"),
        ({"min_gap": "soon"}, "not a span of time"),
        ({"min_gap": "2m", "max_gap": "1m"}, "max_gap (60 s) is smaller than min_gap (120 s)"),
        ({"rate": 1, "limits": {"rate": 2}}, "set twice"),
        ({"base_url": "http://api.example.com"}, "plain http"),
        ({"base_url": "https://u:p@api.example.com"}, "without user-info"),
        ({"base_url": "ftp://api.example.com"}, "absolute http(s) URL"),
        ({"base_url": "https://api.example.com?x=1"}, "without user-info or query"),
        ({"base_url": "api.example.com"}, "absolute http(s) URL"),
        ({"hosts": ["*.com"]}, "two labels"),
        ({"hosts": ["http://api.example.com"]}, "plain http"),
        ({"hosts": ["a b"]}, "an entry of hosts reads"),
        ({"hosts": ["h:99999"]}, "a port is 1 to 65535"),
        ({"status": {"state": "a..b"}}, "status.state.0: not a JMESPath expression"),
        ({"status": {"state": "nope(a)"}}, "unknown function nope()"),
        ({"status": {"state": "&a"}}, "refers to an expression that nothing applies; functions that do: map, max_by"),
        ({"status": {"state": "not_null([&a, b])"}}, "& in 'not_null([&a, b])' refers to an expression"),
        ({"status": {"states": {"running": ["completed"]}}}, "stands under running and under succeeded"),
        ({"status": {"request": "/x/{id}"}}, 'a request reads "GET /path/{id}"'),
        ({"status": {"request": "GET /x/../{id}"}}, "no '.' or '..' segments"),
        ({"status": {"request": "GET /x/%2E%2e/{id}"}}, "no '.' or '..' segments"),
        ({"status": {"request": "GET //evil.example/{id}"}}, "a request reads"),
        ({"status": {"request": "GET /x#{id}"}}, "no blanks, '#'"),
        ({"status": {"request": "GET /x/{i d}"}}, "no blanks, '#'"),
        ({"status": {"from": "http"}}, "needs [status.http]"),
        ({"status": {"http": {"401": "failed"}}}, "HTTP 401 is never a task's state"),
        ({"auth": {"format": "Bearer"}}, "auth.format"),
        ({"api_key": "two words"}, "blanks"),
        ({"api_key": "x\r\nHost: evil"}, "blanks"),
        ({"api_key": 5}, "must be text"),
        ({"limits": 5}, "must be a table"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_table_and_key(catalog: Catalog, table: dict, told: str) -> None:
    message = refusal(catalog, "amux", **({"api_key": "k"} | table))

    assert "[providers.amux]" in message
    assert told in message


def test_a_definition_that_tells_no_state_is_refused(catalog: Catalog) -> None:
    assert "needs state" in refusal(catalog, "mine", base_url="https://a.example", status={"request": "GET /{id}"})


def test_definitions_of_a_folder_join_the_presets(tmp_path: Path) -> None:
    text = 'name = "mine"\nbase_url = "https://a.example"\n[status]\nrequest = "GET /{id}"\nstate = "s"\n[status.states]\nsucceeded = ["ok"]\n'
    (tmp_path / "mine.toml").write_text(text)

    catalog = Catalog(tmp_path)

    assert {"mine", "amux"} <= set(catalog.names)
    assert catalog.account("mine", {"api_key": "k"}).definition.base_text == "https://a.example"
    assert check_examples(load(tmp_path / "mine.toml")) == ["no example shows the state succeeded"]


@pytest.mark.parametrize(
    ("text", "told"),
    [("name = ", "not valid TOML"), ('name = "x"\n', 'lacks "base_url"'), ('naem = "x"', 'did you mean "name"?')],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "wrong.toml").write_text(text)

    with pytest.raises(DefinitionError) as caught:
        Catalog(tmp_path)

    assert "wrong.toml" in str(caught.value)
    assert told in str(caught.value)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    text = 'name = "mine"\nbase_url = "https://a.example"\n[status]\nrequest = "GET /{id}"\nstate = "s"\n[status.states]\nsucceeded = ["ok"]\n'
    (tmp_path / "a.toml").write_text(text)
    (tmp_path / "b.toml").write_text(text)

    with pytest.raises(DefinitionError, match='has the name "mine" too'):
        Catalog(tmp_path)


def test_a_wrong_example_is_found() -> None:
    definition = Definition.model_validate(
        MINE
        | {"name": "mine"}
        | {"examples": [{"body": {"state": "busy"}, "state": "succeeded"}, {"body": {"state": "done"}, "state": "succeeded", "expect": {"outputs": ["x"]}}]}
    )  # fmt: skip

    assert check_examples(definition) == [
        "example 1 (status, succeeded): read as running, expected succeeded",
        "example 2 (status, succeeded): outputs is (), expected ('x',)",
        "no example shows the state running",
        "no example shows the state failed",
    ]


@pytest.mark.parametrize(
    "table",
    [
        {"base_url": "https://user:hunter2@h.example/x"}, {"base_url": "https://h.example/x?key=hunter2"},
        {"base_url": "user:hunter2@h.example"}, {"base_url": "http://h.example/?hunter2"}, {"hosts": ["u:hunter2@h.example"]},
        {"base_url": "http://user:hunter2@h.example"},
    ],
)  # fmt: skip
def test_what_may_be_a_password_is_not_repeated(catalog: Catalog, table: dict) -> None:
    with pytest.raises(DefinitionError) as caught:
        catalog.account("amux", {"api_key": "k"} | table)

    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "base_url" in str(caught.value) or "hosts" in str(caught.value)


def test_a_mistake_tells_the_path_of_its_key_so_that_its_line_can_be_found(catalog: Catalog) -> None:
    with pytest.raises(DefinitionError) as caught:
        catalog.account("amux", {"api_key": "k", "rat": 1, "status": {"states": {"runing": []}}})

    assert sorted(path for _, path in caught.value.faults) == [("rat",), ("status", "states", "runing")]
    assert all(text.startswith("[providers.amux] has an unknown key") for text, _ in caught.value.faults)


def test_lists_of_text_can_be_written_with_commas(catalog: Catalog) -> None:
    table = {"hosts": "a.example, b.example:8443", "status": {"states": {"running": "busy,working"}}}

    definition = catalog.account("amux", {"api_key": "k"} | table).definition

    assert definition.hosts == ("a.example", "b.example:8443")
    assert definition.status.states.running == ("busy", "working")


@pytest.mark.parametrize(
    ("table", "bills"), [({}, False), ({"when": "asked"}, True), ({"when": "asked", "bills": False}, False)]
)
def test_a_result_that_is_asked_for_bills_unless_the_definition_says_otherwise(
    catalog: Catalog, table: dict, bills: bool
) -> None:
    account = catalog.account("mine", MINE | {"api_key": "k", "result": {"request": "GET /t/{id}/result"} | table})

    assert account.definition.result is not None
    assert account.definition.result.bills is bills


def test_a_result_that_bills_is_never_sent_unasked(catalog: Catalog) -> None:
    told = refusal(catalog, "seacloud", api_key="k", result={"bills": True})

    assert 'needs when = "asked"' in told


@pytest.mark.parametrize("bills", [{}, {"bills": True}])
def test_a_result_that_bills_cannot_ask_once_per_item(catalog: Catalog, bills: dict) -> None:
    each = {"request": "GET /g/{item}", "each": "ids", "when": "asked"}

    assert "cannot go with a request that bills" in refusal(catalog, "mine", **MINE, api_key="k", result=each | bills)
    assert catalog.account("mine", MINE | {"api_key": "k", "result": each | {"bills": False}}).definition.result


@pytest.mark.parametrize(
    ("allowed", "url", "is_covered"),
    [
        ("api.example.com", "https://api.example.com/x", True),
        ("api.example.com", "https://API.Example.com./x", True),
        ("api.example.com", "https://api.example.com:443/x", True),
        ("api.example.com", "https://api.example.com:8443/x", False),
        ("api.example.com", "http://api.example.com/x", False),
        ("api.example.com", "https://api.example.com.evil.test/x", False),
        ("api.example.com", "https://evilapi.example.com/x", False),
        ("api.example.com", "https://api.example.com@evil.test/x", False),
        ("api.example.com:8443", "https://api.example.com:8443/", True),
        ("*.example.com", "https://a.b.example.com/", True),
        ("*.example.com", "https://example.com/", False),
        ("*.example.com", "https://evilexample.com/", False),
        ("http://127.0.0.1:99", "http://127.0.0.1:99/", True),
        ("http://127.0.0.1:99", "http://127.0.0.1:98/", False),
        ("https://[::1]:5", "https://[::1]:5/", True),
    ],
)  # fmt: skip
def test_an_origin_covers_itself_and_a_wildcard_its_subdomains(allowed: str, url: str, is_covered: bool) -> None:
    origin = origin_of(URL(url, encoded=True))

    assert (origin is not None and entry(allowed).covers(origin)) is is_covered


def test_a_template_reads_back_what_it_wrote() -> None:
    made = template("GET /v1/queue/{model}/requests/{id}/status?x={id}")

    path = made.filled({"model": "a/b", "id": "x+/="}).partition("?")[0]

    assert path == "/v1/queue/a%2Fb/requests/x%2B%2F%3D/status"
    assert made.variables_in(path) == {"model": "a/b", "id": "x+/="}
    assert made.variables_in("/v1/other") == {}


@given(value=st.text(min_size=1))
def test_no_variable_changes_the_shape_of_a_path(value: str) -> None:
    made = template("GET /v1/{id}/status")

    try:
        path = made.filled({"id": value})
    except Unbuildable:
        return

    url = URL("https://api.example.com" + path, encoded=True)
    assert url.host == "api.example.com"
    assert url.raw_path.count("/") == 3
    assert url.raw_query_string == url.raw_fragment == ""
    assert made.variables_in(url.raw_path) == {"id": value}


@given(value=st.text(alphabet=st.sampled_from("a./%?#\\2eE@:"), min_size=1))
def test_a_raw_variable_keeps_slashes_and_cannot_climb(value: str) -> None:
    made = template("GET /v1/{+id}")

    try:
        path = made.filled({"id": value})
    except Unbuildable:
        return

    assert not {"", ".", ".."} & set(value.split("/"))
    assert "?" not in path
    assert "#" not in path
    assert "\\" not in path
    assert ".." not in URL("https://a.example" + path).path.split("/")
    assert "%2e" not in path.lower()


@pytest.mark.parametrize("value", ["", ".", "..", "a\ud800"])
def test_a_segment_of_dots_is_refused(value: str) -> None:
    with pytest.raises(Unbuildable):
        template("GET /v1/{id}").filled({"id": value})


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(Unbuildable, match="needs model"):
        template("GET /{model}/{id}").filled({"id": "1"})


def test_the_first_alternative_that_is_there_wins() -> None:
    paths = (compiled("a.b"), compiled("c[0]"), compiled("d"))

    assert first_present(paths, {"c": [0], "d": 1}) == 0
    assert first_set(paths, {"a": {"b": ""}, "c": [0], "d": 1}) == 1
    assert first_present(paths, []) is None


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda s: st.dictionaries(st.sampled_from("abc"), s) | st.lists(s, max_size=2),
    )
)
def test_a_plain_path_is_walked_as_jmespath_would(body: object) -> None:
    assert compiled("a.b").of(body) == compiled("a.b | @").of(body)  # type: ignore[arg-type]


def test_basic_auth_and_none(catalog: Catalog) -> None:
    basic = catalog.account("mine", MINE | {"auth": {"scheme": "basic"}, "api_key": "user:password"})
    none = catalog.account("mine", MINE | {"auth": {"scheme": "none"}})

    assert basic.headers["Authorization"] == "Basic dXNlcjpwYXNzd29yZA=="
    assert {"dXNlcjpwYXNzd29yZA==", "user:password", "password"} <= set(basic.secrets)
    assert isinstance(none, Account)
    assert "Authorization" not in none.headers


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (200, "200"), (200.0, "200"), (-3.0, "-3"), (0.5, "0.5"), (1e300, "1e+300"), ("ok", "ok")],
)
def test_a_scalar_is_compared_as_the_text_a_definition_would_write(value: object, text: str) -> None:
    assert text_of(value) == text
