from __future__ import annotations

import pytest

from daemon.config import ConfigError, load, nearest

HOOK = '[endpoints.default]\nurl = "https://app.example.com/hook"\n'


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("[polling]\nmax_task = 3", 2, "[polling] max_task is unknown; did you mean max_tasks?"),
        ("[polling]\nmax-tasks = 3", 2, "[polling] max-tasks is unknown; did you mean max_tasks?"),
        ("[poling]\nprice = 3", 1, "[poling] is unknown; did you mean [polling]?"),
        ("[log]\npath = '/x'", 2, "[log] path is unknown; it belongs in [store]"),
        ("[log]\nfile = '/x'", 2, "[log] file is unknown; known here: format, level"),
        (f"{HOOK}tiemout = 3", 3, "[endpoints.default] tiemout is unknown; did you mean timeout?"),
        ("[endpoints.a]\nsecret = 3", 1, "[endpoints.a] url is missing"),
        ("[polling]\nmax_tasks = 'many'", 2, '[polling] max_tasks must be a whole number, got "many"'),
        ("[polling]\nmax_tasks = 0", 2, "[polling] max_tasks must be at least 1, got 0"),
        ("[polling]\nmax_tasks = true", 2, "[polling] max_tasks must be a number, got true"),
        ("[polling]\nmax_in_flight = 100001", 2, "[polling] max_in_flight must be at most 100000, got 100001"),
        ("[polling]\nprice = 0", 2, "[polling] price must be more than 0, got 0"),
        ("[polling]\nprice = inf", 2, "[polling] price must be a finite number, got inf"),
        ("[server]\nopen_metrics = 'perhaps'", 2, '[server] open_metrics must be true or false, got "perhaps"'),
        ("[server]\nauth = 'basic'", 2, '[server] auth must be "token" or "none", got "basic"'),
        ("[server]\nlisten = '127.0.0.1:1'", 2, '[server] listen must be a list, got "127.0.0.1:1"'),
        ("server = 3", 1, "[server] must be a table, got 3"),
        ("[store]\npath = '~/x.db'", 2, "[store] path must be written in full"),
        (
            "[retention]\n\ntasks = 'soon'",
            3,
            '[retention] tasks must be a span of time such as "90s", "1h30m", "7d" or plain seconds, got "soon"',
        ),
        ("[delivery]\nschedule = ['5s', -1]", 2, "[delivery] schedule[1] must be a span of time"),
        ("[endpoints.No]\nurl = 'https://a.example/'", 1, "[endpoints] No is no name: write 1 to 64 of a-z"),
        ("[providers.'a b']", 1, "[providers] a b is no name"),
        (
            "[endpoints.default.headers]\n'webhook-id' = 'x'",
            2,
            "webhook-id cannot be used: the header webhook-id is set by pollhook itself",
        ),
    ],
)
def test_a_problem_names_its_line_its_path_and_what_is_allowed(complaints, tmp_path, text, line, complaint):
    found = complaints(text)

    assert any(one.startswith(f"{tmp_path}/config.toml:{line}: ") and complaint in one for one in found), found


def test_every_problem_is_told_at_once(complaints):
    found = complaints(
        "[polling]\nmax_task = 1\nprice = -1\n[log]\nlevel = 'loud'\n", env={"POLLHOOK_SERVER__AUTH": "x"}
    )

    assert len(found) == 4


@pytest.mark.parametrize(
    ("text", "where", "reason"),
    [
        ("[polling]\nprice = \n", ":2:9: not TOML", "Invalid value"),
        ("[polling]\nprice = 1\nprice = 2\n", ":3:10: not TOML", "Cannot overwrite a value"),
        ("a = " + "[" * 5000, ": is nested too deep", ""),
    ],
)
def test_a_file_that_is_no_toml_is_told_by_line_and_column(complaints, text, where, reason):
    (found,) = complaints(text)

    assert where in found
    assert reason in found


def test_a_file_that_is_no_text_is_told(read, tmp_path):
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(tmp_path / "bad.toml", {}, {})
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path, {}, {})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("POLLHOOK_POLLING_PRICE", "POLLHOOK_POLLING__PRICE"),
        ("POLLHOOK_PROVIDERS_AMUX_API_KEY", "POLLHOOK_PROVIDERS__AMUX__API_KEY"),
        ("POLLHOOK_PROVIDER_DIR", "POLLHOOK_PROVIDERS_DIR"),
    ],
)
def test_a_variable_with_too_few_underscores_is_told(complaints, name, meant):
    assert complaints(env={name: "/x"}) == [f"environment: {name} is unknown; did you mean {meant}?"]


def test_a_bad_variable_or_credential_is_told_by_its_name(complaints):
    assert complaints(env={"POLLHOOK_POLLING__PRIZE": "1"}) == [
        "POLLHOOK_POLLING__PRIZE: [polling] prize is unknown; did you mean price?"
    ]
    assert complaints(credentials={"polling__price": "dear"}) == [
        'credential polling__price: [polling] price must be a number, got "dear"'
    ]
    assert complaints(overrides={"log.level": "loud"})[0].startswith("command line: [log] level must be")


SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQ="


@pytest.mark.parametrize(
    "text",
    [
        f"[providers]\namux = '{SECRET}'",
        "[providers]\namux = 'plain-words-key'",
        f"[endpoints]\ndefault = '{SECRET}'",
        "[endpoints]\ndefault = 'plain-words-key'",
        f"[endpoints.default]\nurl = '{SECRET}'",
        "[endpoints.default]\nurl = 'https://me:plain-words-key@app.example.com/'",
        "[endpoints.default]\nurl = 'ftp://app.example.com/?token=plain-words-key'",
        f"[endpoints.default]\nurl = 'https://a.example/'\nsecret = '{SECRET}?'",
        "[endpoints.default]\nurl = 'https://a.example/'\nsecret = 'plain-words-key'",
        "[endpoints.default]\nurl = 'https://a.example/'\nsigning_key = 'whsk_plain-words-key'",
        "[endpoints.default]\nurl = 'https://a.example/'\nprevious_secrets = 'plain-words-key'",
        "[endpoints.default]\nurl = 'https://a.example/'\nheaders = {Authorization = 'plain-words-key\\n'}".replace(
            "'plain-words-key\\n'", '"plain-words-key\\n"'
        ),
        "[endpoints.default]\nurl = 'https://a.example/'\ntimeout = 'plain-words-key'",
        "[polling]\napi_key = 'plain-words-key'",
        f"[polling]\nprice = '{SECRET}'",
        "api_key = 'plain-words-key'",
    ],
)
def test_no_message_repeats_a_secret(complaints, text):
    found = "\n".join(complaints(text))

    assert "plain-words-key" not in found
    assert SECRET.removeprefix("whsec_") not in found


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("max_task", ["max_tasks", "price"], "max_tasks"),
        ("MAX-TASKS", ["max_tasks", "price"], "max_tasks"),
        ("amx", ["amux", "token360"], "amux"),
        ("completely different", ["amux"], None),
        ("x", [], None),
    ],
)
def test_the_nearest_known_name_is_found(name, known, meant):
    assert nearest(name, known) == meant
