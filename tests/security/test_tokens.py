"""How a token is compared, and what one caller who has it may use up."""

from __future__ import annotations

import hmac

import pytest

from daemon.api import access
from daemon.api.access import Access, digest_of

pytestmark = pytest.mark.slow

GOOD = "t0ken-of-the-tests-0123456789abcdef"


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        f"Bearer {GOOD[:-1]}",
        f"Bearer {GOOD}x",
        f"Basic {GOOD}",
        f"Bearer {'x' * 5000}",
        "Bearer \udcff",
    ],
)
def test_every_wrong_token_is_compared_whole_as_a_digest_in_constant_time(monkeypatch, shown):
    """Whatever is shown, one comparison of two SHA-256 digests is made: no early way out tells how much of it was right."""
    compared = []

    class Watched:
        @staticmethod
        def compare_digest(a, b):
            compared.append((len(a), len(b)))
            return hmac.compare_digest(a, b)

    monkeypatch.setattr(access, "hmac", Watched)

    assert not Access(digest_of(GOOD))._is_token(shown)
    assert compared == [(32, 32)]


def test_the_token_itself_is_kept_nowhere_in_what_judges_it():
    judge = Access(digest_of(GOOD))

    assert GOOD not in repr(vars(judge))
    assert judge._is_token(f"Bearer {GOOD}")


@pytest.fixture(scope="module")
def daemon(start):
    return start(polling={"max_tasks": 2000})


@pytest.mark.e2e
def test_tasks_endpoints_keys_and_claims_of_one_caller_are_bounded_with_a_clear_answer(daemon):
    told = [
        daemon.ask(
            "POST", "/v1/tasks/batch", {"tasks": [{"provider": "mine", "remote_id": f"{n}-{m}"} for m in range(1000)]}
        )[1]
        for n in range(3)
    ]
    refused = [item for answer in told for item in answer["data"] if item["status"] != 201]
    assert daemon.ask("PUT", "/v1/endpoints/made", {"url": "https://example.com/h"})[0] == 201
    rotated = [daemon.ask("POST", "/v1/endpoints/made/rotate", {"grace": "1d"}) for _ in range(5)]
    key = {"Idempotency_Key": "k" * 256}

    assert len(refused) == 1000
    assert {item["problem"]["code"] for item in refused} == {"watchlist_full"}
    assert [status for status, _ in rotated[-2:]] == [409, 409]
    assert daemon.ask("POST", "/v1/tasks", {"provider": "mine", "remote_id": "x"}, **key)[0] in (400, 422)
    assert daemon.ask("POST", "/v1/tasks/batch", {"tasks": [{}] * 1001})[0] == 413
    assert daemon.ask("GET", "/v1/tasks?limit=501")[0] == 422
    assert daemon.ask("GET", "/readyz")[0] == 200
