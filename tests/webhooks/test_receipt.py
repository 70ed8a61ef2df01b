"""What each answer of an endpoint means, as a table: no socket, no clock."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from daemon.core.delivery import NO_STAGES, Accepted, Refusal, Refused, Stages
from daemon.net.exchange import Answer, Failure, FailureKind, Marks
from daemon.webhooks.receipt import receipt, response_text, stages

MARKS = Marks(begun=10.0, resolved=11.0, dialled=13.0, connected=16.0, answered=20.0)
STAGES = Stages(dns=1.0, connect=2.0, tls=3.0, first_byte=4.0)


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Answer(status=status, headers=CIMultiDictProxy(named), body=body, seconds=1.5, address="192.0.2.7")


def broken_off(status: int | None, kind: FailureKind = FailureKind.TIMEOUT, **headers: str) -> Failure:
    return Failure(
        kind=kind, detail="why", seconds=1.5, unsent=False, address="192.0.2.7", status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )  # fmt: skip


@pytest.mark.parametrize("status", [200, 204, 250, 299])
@pytest.mark.parametrize("came", [answer, broken_off])
def test_a_2xx_is_accepted_whether_or_not_its_body_came(status, came):
    got = receipt(came(status), 0.0, marks=MARKS, keys=("k1", "k2"))

    assert got == Accepted(http_status=status, seconds=1.5, address="192.0.2.7", stages=STAGES, keys=("k1", "k2"))


@pytest.mark.parametrize(
    ("status", "refusal", "detail"),
    [
        (101, Refusal.HTTP, "answered 101"),
        (199, Refusal.HTTP, "answered 199"),
        (300, Refusal.REDIRECT, "answered 300, which is not followed"),
        (399, Refusal.REDIRECT, "answered 399, which is not followed"),
        (400, Refusal.HTTP, "answered 400"),
        (409, Refusal.HTTP, "answered 409"),
        (410, Refusal.GONE, "answered 410 Gone"),
        (411, Refusal.HTTP, "answered 411"),
        (503, Refusal.HTTP, "answered 503"),
    ],
)
@pytest.mark.parametrize("came", [answer, broken_off])
def test_any_other_answer_is_refused_with_its_status_its_wish_and_its_times(status, refusal, detail, came):
    got = receipt(came(status, retry_after="120"), 0.0, marks=MARKS, keys=("k1",))

    assert got == Refused(
        refusal=refusal,
        detail=detail,
        seconds=1.5,
        http_status=status,
        retry_after=120.0,
        address="192.0.2.7",
        stages=STAGES,
        keys=("k1",),
    )


def test_a_date_to_wait_for_is_held_against_the_wall_clock():
    seen = answer(503, retry_after="Sat, 01 Jan 2000 00:01:40 GMT")

    assert receipt(seen, 946_684_800.0).retry_after == 100.0


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        (FailureKind.TIMEOUT, Refusal.TIMEOUT),
        (FailureKind.DNS, Refusal.DNS),
        (FailureKind.CONNECT, Refusal.CONNECT),
        (FailureKind.TLS, Refusal.TLS),
        (FailureKind.PROTOCOL, Refusal.PROTOCOL),
        (FailureKind.TOO_LARGE, Refusal.PROTOCOL),
        (FailureKind.TARGET_NOT_ALLOWED, Refusal.TARGET_NOT_ALLOWED),
    ],
)
def test_no_answer_is_a_refusal_of_its_class(kind, refusal):
    got = receipt(broken_off(None, kind, retry_after="120"), 0.0, marks=MARKS, keys=("k1",))

    assert got == Refused(refusal=refusal, detail="why", seconds=1.5, address="192.0.2.7", stages=STAGES, keys=("k1",))


def test_every_kind_of_failure_has_its_refusal():
    assert all(isinstance(receipt(broken_off(None, kind), 0.0), Refused) for kind in FailureKind)


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://u:p@b.example/new?key=1#x", " to https://b.example/new"),
        ("/new?key=1", " to /new"),
        ("http://[::1", " with an unreadable Location"),
        ("https://b.example/" + "x" * 500, " to https://b.example/" + "x" * 182),
        ("", ""),
        (None, ""),
    ],
)
def test_a_redirect_names_its_target_without_what_may_be_secret(location, told):
    seen = answer(302) if location is None else answer(302, location=location)

    assert receipt(seen, 0.0).detail == f"answered 302{told}, which is not followed"


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        (None, NO_STAGES),
        (Marks(answered=20.0), NO_STAGES),
        (MARKS, STAGES),
        # plain HTTP: no TLS, and what is connected is connected by TCP
        (Marks(begun=10.0, resolved=11.0, connected=13.0, answered=20.0), Stages(dns=1.0, connect=2.0, first_byte=7.0)),
        # an address for a name: nothing to resolve
        (Marks(begun=10.0, dialled=13.0, connected=16.0), Stages(connect=3.0, tls=3.0)),
        # a kept connection
        (Marks(begun=10.0, answered=20.0), Stages(first_byte=10.0)),
        # it broke off in the midst of TLS
        (Marks(begun=10.0, resolved=11.0, dialled=13.0), Stages(dns=1.0, connect=2.0)),
        (Marks(begun=10.0), NO_STAGES),
        # marks out of order count as no time
        (Marks(begun=10.0, resolved=9.0), Stages(dns=0.0)),
    ],
)
def test_only_the_stages_that_were_gone_through_have_a_time(marks, expected):
    assert stages(marks) == expected


def test_the_first_kibibyte_of_a_body_is_kept_as_text():
    assert response_text(answer(200, b"x" * 1024)) == "x" * 1024
    assert response_text(answer(200, b"x" * 1025)) == "x" * 1024
    assert response_text(answer(200, b"caf\xc3\xa9 \xff")) == "café \N{REPLACEMENT CHARACTER}"


def test_without_a_body_there_is_no_text():
    assert response_text(answer(204)) is None
    assert response_text(broken_off(500)) is None


def test_what_an_endpoints_own_headers_say_and_what_looks_like_a_secret_is_masked_in_its_answer():
    headers = (("Authorization", "Token hunter22"), ("X-Id", "abcde"), ("X-Key", "abcdef"))
    body = b"you sent Token hunter22, that is hunter22, abcde, abcdef and whsec_c2VjcmV0"

    told = response_text(answer(401, body), headers)

    assert told == "you sent [redacted], that is [redacted], abcde, [redacted] and [redacted]"
