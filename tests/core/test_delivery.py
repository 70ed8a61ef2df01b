"""What follows from each answer: the schedule's bounds, Retry-After, and the end of patience."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.delivery import (
    HAS_MOVED,
    RETRY_AFTER_CAP,
    STILL_DOWN,
    Accepted,
    Delivered,
    Delivery,
    GivenUp,
    Refusal,
    Refused,
    Retry,
    Stead,
    settle,
)
from daemon.core.ids import DeliveryId, EventId
from daemon.core.retry_after import retry_after

SCHEDULE = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 21600.0, 43200.0, 86400.0, 86400.0)
rolls = st.floats(0, 1, exclude_max=True)
wishes = st.none() | st.floats(allow_nan=False)
refusals = st.sampled_from([refusal for refusal in Refusal if refusal is not Refusal.GONE])
statuses = st.none() | st.integers(300, 599).filter(lambda status: status != 410)


def delivery(tries: int) -> Delivery:
    return Delivery(
        id=DeliveryId("dlv_1"), event_id=EventId("msg_1"), endpoint="default", url=None, attempts=tries + 3, tries=tries
    )


def refused(refusal=Refusal.HTTP, status=500, wish=None) -> Refused:
    return Refused(refusal=refusal, detail="answered 500", seconds=0.1, http_status=status, retry_after=wish)


@given(st.integers(0, 100), st.lists(st.floats(0, 1e6), max_size=12), rolls)
def test_an_accepted_delivery_is_delivered_whenever_it_comes(tries, schedule, roll):
    accepted = Accepted(http_status=204, seconds=0.1)

    assert settle(delivery(tries), accepted, schedule, roll=roll) == Delivered()


@given(refusals, statuses, wishes, st.lists(st.floats(0, 1e6), min_size=1, max_size=12), st.data(), rolls)
def test_a_retry_waits_half_to_all_of_its_slot_or_longer_by_wish_up_to_a_day(
    refusal, status, wish, schedule, data, roll
):
    tries = data.draw(st.integers(0, len(schedule) - 1))

    settlement = settle(delivery(tries), refused(refusal, status, wish), schedule, roll=roll)

    assert isinstance(settlement, Retry)
    slot, hint = schedule[tries], min(max(wish or 0.0, 0.0), RETRY_AFTER_CAP)
    assert max(slot / 2, hint) <= settlement.delay <= max(slot, hint)


@given(refusals, statuses, wishes, st.integers(0, 50), rolls)
def test_after_the_last_slot_the_delivery_is_dead_with_a_reason_and_the_endpoint_lives(
    refusal, status, wish, beyond, roll
):
    settlement = settle(delivery(len(SCHEDULE) + beyond), refused(refusal, status, wish), SCHEDULE, roll=roll)

    assert isinstance(settlement, GivenUp)
    assert not settlement.disables
    assert "answered 500" in settlement.reason


@given(st.integers(0, 20), wishes, rolls)
def test_gone_is_final_at_once_and_disables_the_endpoint(tries, wish, roll):
    settlement = settle(delivery(tries), refused(Refusal.GONE, 410, wish), SCHEDULE, roll=roll)

    assert isinstance(settlement, GivenUp)
    assert settlement.disables


@given(st.lists(rolls, min_size=10, max_size=10))
def test_a_delivery_refused_every_time_is_tried_eleven_times_over_one_and_a_half_to_three_days(dice):
    tries, waited = 0, 0.0
    while isinstance(settlement := settle(delivery(tries), refused(), SCHEDULE, roll=dice[min(tries, 9)]), Retry):
        waited += settlement.delay
        tries += 1

    assert tries == len(SCHEDULE)
    assert sum(SCHEDULE) / 2 <= waited <= sum(SCHEDULE)


@pytest.mark.parametrize(
    ("status", "flagged"),
    [(302, True), (400, True), (401, True), (404, True), (413, True), (408, False), (425, False), (429, False), (500, False), (None, False)],
)  # fmt: skip
def test_what_the_owner_should_look_at_is_flagged(status, flagged):
    settlement = settle(delivery(0), refused(status=status), SCHEDULE, roll=0.5)

    assert isinstance(settlement, Retry)
    assert settlement.flagged is flagged


NOW = datetime(2026, 11, 21, 20, 10, 5, tzinfo=UTC)
NOW_AT = NOW.timestamp()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": ".5"}, 0.5),
        ({"retry-after": "2."}, 2.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Sat, 21 Nov 2026 20:12:05 GMT"}, 120.0),
        ({"retry-after": "Saturday, 21-Nov-26 20:12:05 GMT"}, 120.0),
        ({"retry-after": "Sat Nov 21 20:12:05 2026"}, 120.0),
        ({"retry-after": "Sat, 21 Nov 2026 21:12:05 +0100"}, 120.0),
        ({"retry-after": "Sat, 21 Nov 2026 20:00:00 GMT"}, 0.0),
        ({"retry-after": ""}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "+5"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1_000"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "120, 60"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Sat, 99 Nov 2026 20:12:05 GMT"}, None),
        ({"retry-after": "Sat, 21 Nov 99999 20:12:05 GMT"}, None),
        ({"retry-after-ms": "-1"}, None),
    ],
)
def test_every_form_of_retry_after_is_read_and_rubbish_is_no_hint(headers, expected):
    assert retry_after(headers, NOW_AT) == expected


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_crashes_the_reading_of_retry_after(one, other):
    wish = retry_after({"retry-after": one, "retry-after-ms": other}, NOW_AT)

    assert wish is None or 0 <= wish < float("inf")


@given(st.integers(-(10**6), 10**9))
def test_a_date_is_the_seconds_until_it_and_never_negative(seconds):
    text = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)

    assert retry_after({"retry-after": text}, NOW_AT) == max(seconds, 0)


@given(refusals, statuses, wishes, st.integers(0, 20), rolls)
def test_a_try_that_only_shows_the_endpoint_is_still_down_uses_up_nothing(refusal, status, wish, tries, roll):
    seen = refused(refusal, status, wish)

    settlement = settle(delivery(tries), seen, SCHEDULE, roll=roll, stead=Stead.DOWN)

    if seen.blames_endpoint:
        wait = min(max(wish or 0.0, 0.0), RETRY_AFTER_CAP)
        assert settlement == Retry(delay=wait, flagged=False, counts=False, why=STILL_DOWN)
    else:
        assert settlement == settle(delivery(tries), seen, SCHEDULE, roll=roll)


@pytest.mark.parametrize(
    ("status", "blames"),
    [(None, True), (408, True), (425, True), (429, True), (500, True), (503, True), (599, True),
     (300, False), (400, False), (404, False), (409, False), (426, False), (430, False), (499, False)],
)  # fmt: skip
def test_an_endpoint_is_blamed_for_what_any_other_event_would_have_met(status, blames):
    assert refused(status=status).blames_endpoint is blames


def test_an_answer_of_an_address_that_has_moved_decides_nothing_and_costs_nothing():
    for seen in (refused(), refused(Refusal.GONE, 410)):
        settlement = settle(delivery(99), seen, SCHEDULE, roll=0.5, stead=Stead.MOVED)
        assert settlement == Retry(delay=0.0, flagged=False, counts=False, why=HAS_MOVED)


def test_a_redirect_of_any_number_is_flagged_and_a_wish_is_capped_at_a_day():
    settlement = settle(delivery(0), refused(status=300, wish=1e9), SCHEDULE, roll=0.5)

    assert settlement == Retry(delay=86400.0, flagged=True, counts=True, why=None)


def test_a_new_delivery_was_never_tried():
    new = Delivery(id=DeliveryId("dlv_1"), event_id=EventId("msg_1"), endpoint="default", url=None)

    assert (new.attempts, new.tries) == (0, 0)


def test_the_longest_number_that_is_read_has_64_digits():
    assert retry_after({"retry-after": "1" * 64}, NOW_AT) == float("1" * 64)
    assert retry_after({"retry-after": "1" * 65}, NOW_AT) is None
    date = "Sat, 21 Nov 2026 20:12:05 GMT"
    assert retry_after({"retry-after": date + " " * (64 - len(date))}, NOW_AT) == 120.0
    assert retry_after({"retry-after": date + " " * (65 - len(date))}, NOW_AT) is None
