"""The show fails for anything missing, double, wrong or unverified, and excuses only what the kill excuses."""

from __future__ import annotations

from collections import Counter

import pytest

from daemon.demo.job import Entry
from daemon.demo.receiver import Arrival
from daemon.demo.summary import Kill, judge_show, quantile

KILL = Kill(killed_at=100.0, ready_at=101.0, in_flight=2)


def job(number: int = 1, outcome: str = "succeeded", **more) -> Entry:
    entry = Entry(
        provider="amux", remote_id=f"r{number}", model="m", created_at=0.0, ended_at=90.0, outcome=outcome,
        has_ended=True, told_at=90.5, polls=4, results=0, billed=0, faults={},
    )  # fmt: skip
    return Entry(**(entry | more))


def arrival(number: int = 1, outcome: str = "succeeded", at: float = 91.0, **more) -> Arrival:
    posted = Arrival(
        at=at, webhook_id=f"msg_{number}", digest="d", complaint=None, status=204, type=f"task.{outcome}",
        task_id=f"tsk_{number}", provider="amux", remote_id=f"r{number}",
    )  # fmt: skip
    return Arrival(**(posted | more))


def complaints(truth, arrivals, *, kill=KILL, recorded=None) -> list[str]:
    kept = {(entry["provider"], entry["remote_id"]): entry["outcome"] for entry in truth}
    return judge_show(truth, arrivals, kept if recorded is None else recorded, kill).complaints


def test_every_ending_told_once_is_a_success_with_its_row():
    verdict = judge_show([job()], [arrival()], {("amux", "r1"): "succeeded"}, KILL)

    [row] = verdict.rows
    assert verdict.complaints == []
    assert (row.tasks, row.outcomes, row.polls, row.verified, row.duplicates) == (1, Counter(succeeded=1), 4, 1, 0)
    assert row.delays == [1.0]


def test_a_webhook_refused_by_us_counts_as_received_but_must_still_be_delivered():
    refused, taken = arrival(status=503), arrival(at=95.0)

    assert complaints([job()], [refused])[0].startswith("missing")
    assert judge_show([job()], [refused, taken], {("amux", "r1"): "succeeded"}, KILL).rows[0].delays == [1.0]


@pytest.mark.parametrize(
    ("arrivals", "word"),
    [
        ([], "missing"),
        ([arrival(), arrival(2, complaint="No matching signature found", status=400)], "unverified"),
        ([arrival(outcome="failed")], "wrong"),
        ([arrival(), arrival(webhook_id="msg_9")], "double"),
        ([arrival(status=503), arrival(digest="other")], "double"),
        ([arrival(), arrival(at=99.0)], "double"),
        ([arrival(at=102.0), arrival(at=103.0)], "double"),
        ([arrival(), arrival(at=102.0), arrival(at=103.0)], "double"),
    ],
    ids=["nothing", "bad signature", "other outcome", "two endings", "other bytes", "before", "after", "three times"],
)
def test_whatever_must_not_happen_is_complained_of(arrivals, word):
    [complaint] = complaints([job()], arrivals)

    assert complaint.startswith(word)


def test_a_delivery_cut_off_by_the_kill_may_come_again():
    arrivals = [arrival(at=99.9), arrival(at=101.5)]

    verdict = judge_show([job()], arrivals, {("amux", "r1"): "succeeded"}, KILL)

    assert (verdict.complaints, verdict.rows[0].duplicates) == ([], 1)


def test_more_may_not_come_again_than_were_in_flight():
    truth = [job(number) for number in range(3)]
    arrivals = [arrival(number, at=at) for at in (99.9, 101.5) for number in range(3)]

    [complaint] = complaints(truth, arrivals)

    assert "msg_2" in complaint


def test_without_a_kill_nothing_may_come_again():
    _, complaint = complaints([job()], [arrival(at=99.9), arrival(at=101.5)], kill=None)

    assert complaint.startswith("double")


def test_a_show_without_its_kill_proves_nothing():
    assert complaints([job()], [arrival()], kill=None)[0].startswith("missing: the kill")


def test_what_the_daemon_recorded_must_be_true_as_well():
    assert complaints([job()], [arrival()], recorded={("amux", "r1"): "running"})[0].startswith("wrong")
    assert complaints([job()], [arrival()], recorded={})[0].endswith("recorded nothing")


def test_a_result_billed_twice_is_a_double():
    assert complaints([job(billed=2)], [arrival()])[0].startswith("double")


def test_quantiles_of_few_values():
    assert (quantile([], 0.5), quantile([3.0], 0.95), quantile([4, 1, 3, 2], 0.5)) == (0.0, 3.0, 3)
