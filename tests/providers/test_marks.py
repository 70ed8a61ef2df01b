"""An answer of the same bytes is told as the last one was, and is read again whenever it could say anything else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from daemon.core.observation import Ended, Missed, Pending
from daemon.core.task import LIVE, Status
from daemon.net.exchange import Answer
from daemon.providers.catalog import Catalog
from daemon.providers.marks import Marks
from tests.providers.conftest import task_of

AMUX = Catalog().account("amux", {"api_key": "k"}).definition
RUNNING = {"data": {"status": "IN_PROGRESS", "progress": "30%"}, "code": "success"}


def answer(body: bytes = b"{}", status: int = 200, **headers: str) -> Answer:
    told = CIMultiDictProxy(CIMultiDict({name.replace("_", "-"): text for name, text in headers.items()}))
    return Answer(status=status, headers=told, body=body, seconds=0.0, address=None)


@pytest.fixture
def marks():
    return Marks(AMUX)


def heard(task, seen):
    known = replace(
        task,
        status=seen.status, progress=seen.progress, queue_position=seen.queue_position,
        created_at=seen.created_at, started_at=seen.started_at,
    )  # fmt: skip
    known.heard(1.0, seen.mark)
    return known


pendings = st.builds(
    Pending,
    status=st.sampled_from(sorted(LIVE)),
    progress=st.none() | st.floats(0, 1),
    queue_position=st.none() | st.integers(0, 9),
    created_at=st.none() | st.floats(0, 1e9),
    started_at=st.none() | st.floats(0, 1e9),
)


@given(pendings, st.binary(max_size=50))
def test_the_same_bytes_are_told_as_they_were_read(seen, body):
    marks = Marks(AMUX)
    marked = marks.marked(answer(body), seen)

    assert marks.same(heard(task_of(), marked), answer(body)) == marked
    assert replace(marked, mark=0) == seen


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_other_bytes_are_read(one, other):
    marks = Marks(AMUX)
    known = heard(task_of(), marks.marked(answer(one), Pending(status=Status.RUNNING)))

    assert (marks.same(known, answer(other)) is not None) is (one == other)


@pytest.mark.parametrize("other", [
    answer(status=404), answer(status=202), answer(Retry_After="5"), answer(Retry_After_Ms="5"),
    answer(OpenAI_Poll_After_Ms="100"),
])  # fmt: skip
def test_an_answer_with_another_status_or_a_wish_is_read(marks, make_task, other):
    known = heard(make_task(), marks.marked(answer(), Pending(status=Status.RUNNING)))

    assert marks.same(known, other) is None


def test_only_a_living_task_without_a_wish_is_marked(marks):
    hinted = Pending(status=Status.RUNNING, hint=3.0)
    ended, missed = Ended(outcome=Status.FAILED), Missed(miss="network", detail="")

    assert all(marks.marked(answer(), seen) is seen for seen in (hinted, ended, missed))


def test_the_mark_of_one_reading_is_nothing_to_another(marks, make_task):
    known = heard(make_task(), marks.marked(answer(), Pending(status=Status.RUNNING)))

    assert Marks(AMUX).same(known, answer()) is None


def test_the_mark_of_a_reading_that_is_gone_is_nothing_to_those_that_come_after_it(make_task):
    known = heard(make_task(), Marks(AMUX).marked(answer(), Pending(status=Status.RUNNING)))

    assert not any(Marks(AMUX).same(known, answer()) for _ in range(100))


async def test_a_poll_reads_the_same_bytes_once_and_sees_the_next_change(connect, server, make_task, monkeypatch):
    provider, task = connect("amux"), make_task()
    reader, reads = provider._wire.reader, []
    count = type(reader).status
    monkeypatch.setattr(type(reader), "status", lambda self, reply: reads.append(reply) or count(self, reply))
    changed = {"data": {"status": "IN_PROGRESS", "progress": "80%"}, "code": "success"}
    server.answers += [web.json_response(body) for body in (RUNNING, RUNNING, RUNNING, changed)]

    said = []
    for _ in range(4):
        seen = await provider.poll(task)
        task = heard(task, seen)
        said.append(seen.progress)

    assert said == [0.3, 0.3, 0.3, 0.8]
    assert len(reads) == 2
