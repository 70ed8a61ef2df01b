"""Endpoints joined from the file, the API and the store, on a real database: who wins, who signs, and until when."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from daemon.config import Settings
from daemon.core.breaker import Trouble
from daemon.core.delivery import Accepted, DeliveryState
from daemon.core.endpoint import EndpointSpec, Source
from daemon.core.errors import EndpointDisabled, InvalidEndpoint, NotFound, ReadOnly, TooManyKeys
from daemon.core.keyring import DAY
from daemon.core.record import DeliveryQuery
from daemon.core.signing import encode_secret, hmac_key
from daemon.engine.clock import Clock, Dice
from daemon.engine.courier import Courier
from daemon.engine.delivery_desk import DeliveryDesk
from daemon.engine.endpoint_ports import EndpointDraft, Rotation, Window
from daemon.service.endpoint_desk import DELETED, EndpointDesk
from daemon.service.endpoints import EndpointBook
from daemon.store.store import open_store
from tests.engine.fakes import ScriptedSender, Tally

NOW = 1_764_000_000.0
SECRET = encode_secret(b"s" * 24)
URL = "https://app.example.com/hooks?token=t0p"
CONFIGURED = {"url": "https://app.example.com/x"}


def settings(**endpoints) -> Settings:
    return Settings.model_validate({"endpoints": endpoints, "delivery": {"timeout": 7, "schedule": ["2s"]}})


class House:
    """Store, book, courier and desk as the service joins them; the clock is the test's."""

    def __init__(self, folder):
        self.path = folder / "pollhook.db"
        self.at = NOW
        self.hidden = []
        self.commits = []
        self.tally = Tally()

    async def open(self, given=None):
        self.store = await open_store(self.path, on_commit=lambda *told: self.commits.append(told))
        self.book = EndpointBook(b"m" * 32, self.store.endpoints, lambda: self.at)
        await self.book.adopt(given or settings())
        dice = random.Random(1)
        self.clock = Clock(now=lambda: self.at - NOW, now_at=lambda: self.at)
        self.courier = Courier(
            outbox=self.store.outbox, ledger=self.store.ledger, sender=ScriptedSender(lambda d, n: Accepted(http_status=204, seconds=0.0)),
            find=self.book.find, origin=lambda url: url, clock=self.clock, dice=Dice(roll=dice.random, bits=dice.getrandbits),
            observer=self.tally, max_in_flight=10,
        )  # fmt: skip
        await self.courier.standing.load()
        deliveries = DeliveryDesk(
            self.courier, self.store.outbox, lambda: self.book.named, self.clock, self.book.rotation_ends_at
        )
        self.desk = EndpointDesk(
            book=self.book, store=self.store.endpoints, outbox=self.store.outbox, courier=self.courier,
            deliveries=deliveries, clock=self.clock, hide=self.hidden.append,
        )  # fmt: skip
        return self

    async def again(self, given=None):
        await self.store.close()
        return await self.open(given)

    async def states(self, endpoint):
        return [(one.state, one.reason) for one in await self.store.outbox.page(DeliveryQuery(endpoint=endpoint))]

    def fingerprints(self, name):
        return [key.fingerprint for key in self.book.named[name].keys]


@pytest.fixture
async def house(tmp_path):
    made = await House(tmp_path).open()
    yield made
    await made.store.close()


def draft(**changes) -> EndpointDraft:
    secret, pair = changes.pop("secret", None), changes.pop("signing_key", None)
    return EndpointDraft(spec=replace(EndpointSpec(url=URL), **changes), secret=secret, signing_key=pair)


def rotation(grace=DAY, version="v1", key=None) -> Rotation:
    return Rotation(version=version, grace=grace, key=key)


async def test_what_an_endpoint_does_not_say_delivery_says(house):
    await house.again(settings(default=CONFIGURED | {"timeout": "5s"}, ops=CONFIGURED))

    own, shared = house.book.find("default", None), house.book.find("ops", None)

    assert (own.timeout, own.schedule, own.is_trusted) == (5.0, (2.0,), True)
    assert (shared.timeout, shared.concurrency) == (7.0, 10)
    assert len(own.keys) == 1
    assert own.keys[0].fingerprint != shared.keys[0].fingerprint


async def test_an_endpoint_of_the_api_and_its_secret_outlive_a_restart_and_a_reload(house):
    made = await house.desk.put(
        "mine", draft(headers=(("X-A", "b"),), schedule=(1.0, 2.0), where="data", secret=SECRET)
    )
    before = house.book.find("mine", None)

    await house.again(settings(default=CONFIGURED))
    await house.book.adopt(settings(default=CONFIGURED))

    after = house.book.find("mine", None)
    assert made.secret == SECRET
    assert replace(after, keys=()) == replace(before, keys=())
    assert [key.fingerprint for key in after.keys] == [key.fingerprint for key in before.keys]
    assert (after.source, after.is_trusted) == (Source.API, False)


async def test_neither_a_secret_nor_a_url_of_the_api_stands_in_the_clear_on_disk(house, tmp_path):
    made = await house.desk.put(
        "mine", draft(headers=(("Authorization", "Bearer plain-words"),), signing_key="generate")
    )
    await house.desk.rotate("mine", rotation())
    await house.again(settings(default=CONFIGURED))
    (generated,) = (key.secret for key in (await house.store.endpoints.keys())["default"])
    await house.store.close()

    written = b"".join(file.read_bytes() for file in tmp_path.glob("pollhook.db*"))

    for secret in (made.secret, made.signing_key, generated, "plain-words", "t0p"):
        assert secret.removeprefix("whsec_").encode() not in written
    await house.open()


async def test_a_name_in_both_places_is_the_config_file_s_and_that_is_said(house):
    await house.desk.put("mine", draft())

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with capture_logs() as logs:
        await house.again(settings(mine=CONFIGURED))

    assert [entry["endpoint"] for entry in logs if entry["event"] == "endpoint.shadowed"] == ["mine"]
    assert house.book.named["mine"].url == CONFIGURED["url"]
    for attempt in (house.desk.put("mine", draft()), house.desk.delete("mine")):
        with pytest.raises(ReadOnly, match="config file"):
            await attempt
    await house.again()
    assert house.book.named["mine"].url == URL


async def test_a_replaced_endpoint_keeps_its_secret_unless_another_is_given(house):
    await house.desk.put("mine", draft(secret=SECRET))
    first = house.fingerprints("mine")

    kept = await house.desk.put("mine", draft(timeout=3.0))
    same = house.fingerprints("mine")
    await house.desk.put("mine", draft(secret=encode_secret(b"t" * 24)))

    assert (kept.secret, kept.is_new, same) == (None, False, first)
    assert len(house.fingerprints("mine")) == 1
    assert house.fingerprints("mine") != first


@pytest.mark.parametrize("bad", ["whsec_c2hvcnQ=", "plain", "whsec_!"])
async def test_a_secret_that_is_none_is_refused_and_nothing_is_written(house, bad):
    with pytest.raises(InvalidEndpoint, match="secret cannot be used"):
        await house.desk.put("mine", draft(secret=bad))

    assert (await house.store.endpoints.specs(), house.book.held("mine")) == ({}, None)


async def test_both_keys_sign_until_the_grace_is_over_also_over_a_restart(house):
    await house.desk.put("mine", draft(secret=SECRET))
    (old,) = house.fingerprints("mine")

    revealed = await house.desk.rotate("mine", rotation(grace=DAY))
    during = house.fingerprints("mine")
    await house.again()
    restarted = house.fingerprints("mine")
    house.at += DAY + 1
    after = house.fingerprints("mine")

    assert during == restarted
    assert len(during) == 2
    assert during[1] == old
    assert revealed.view.rotation_ends_at == NOW + DAY
    assert after == during[:1]
    assert revealed.secret in house.hidden


async def test_a_fourth_key_is_refused_and_a_grace_of_nothing_stops_all_older_ones(house):
    await house.desk.put("mine", draft())
    await house.desk.rotate("mine", rotation())
    await house.desk.rotate("mine", rotation())

    with pytest.raises(TooManyKeys, match='"grace": 0'):
        await house.desk.rotate("mine", rotation())
    assert len(house.fingerprints("mine")) == 3
    await house.desk.rotate("mine", rotation(grace=0))
    assert len(house.fingerprints("mine")) == 1


async def test_an_ed25519_pair_signs_beside_the_secret_and_rotates_by_itself(house):
    made = await house.desk.put("mine", draft(signing_key="generate"))
    shared = house.book.named["mine"].keys[0]
    turned = await house.desk.rotate("mine", rotation(version="v1a"))

    keys = house.book.named["mine"].keys
    assert made.signing_key.startswith("whsk_")
    assert made.view.public_key.startswith("whpk_")
    assert [key.version for key in keys] == ["v1", "v1a", "v1a"]
    assert keys[0] == shared
    assert turned.view.public_key != made.view.public_key


async def test_a_secret_written_in_the_file_is_rotated_there_and_a_generated_one_here(house):
    await house.again(settings(written=CONFIGURED | {"secret": SECRET}, made=CONFIGURED))

    with pytest.raises(ReadOnly, match="previous_secrets"):
        await house.desk.rotate("written", rotation())
    await house.desk.rotate("made", rotation())
    await house.again(settings(written=CONFIGURED | {"secret": SECRET}, made=CONFIGURED))

    assert len(house.fingerprints("made")) == 2


async def test_what_a_deleted_endpoint_is_owed_is_parked_and_comes_back_with_its_name(house):
    await house.desk.put("mine", draft())
    for n in range(3):
        await house.courier.send_test("test.event", {"n": n}, "mine")

    await house.desk.delete("mine")
    parked = await house.states("mine")
    gone = house.book.find("mine", None), await house.store.endpoints.keys()
    with pytest.raises(NotFound, match="there are: none"):
        await house.desk.delete("mine")
    await house.desk.put("mine", draft())

    assert parked == [(DeliveryState.PARKED, DELETED)] * 3
    assert gone == (None, {})
    assert house.tally.gone == ["mine"]
    assert await house.states("mine") == [(DeliveryState.PENDING, None)] * 3


async def test_a_window_is_counted_dry_and_sent_again_in_steps(house, monkeypatch):
    monkeypatch.setattr("daemon.service.endpoint_desk.STEP", 4)
    await house.desk.put("mine", draft())
    for n in range(20):
        house.at = NOW + 60 * n
        await house.courier.send_test("test.event", {"n": n}, "mine")
    while await house.store.outbox.park("mine", "for the test", house.at, 7):
        pass
    window = Window(since=NOW + 300, until=NOW + 900, states=frozenset({"parked", "dead"}))

    dry = await house.desk.replay("mine", window, dry_run=True)
    unmoved = await house.states("mine")
    sent = await house.desk.replay("mine", window, dry_run=False)

    assert (dry.matched, dry.oldest_at, dry.newest_at, dry.is_dry) == ({"parked": 10}, NOW + 300, NOW + 840, True)
    assert [state for state, _ in unmoved] == [DeliveryState.PARKED] * 20
    assert sent.matched == {"parked": 10}
    assert [state for state, _ in await house.states("mine")].count(DeliveryState.PENDING) == 10


async def test_a_disabled_endpoint_is_not_replayed_to_but_can_be_counted(house):
    await house.desk.put("mine", draft())
    await house.courier.parking.disable("mine", "by hand", "operator")
    window = Window(since=NOW - 10, until=NOW + 10, states=frozenset({"dead"}))

    with pytest.raises(EndpointDisabled, match="enable it first"):
        await house.desk.replay("mine", window, dry_run=False)
    assert (await house.desk.replay("mine", window, dry_run=True)).matched == {}


class _DisabledMeanwhile:
    """An outbox before whose second step of a replay somebody disables the endpoint, and has parked what it is owed."""

    def __init__(self, house):
        self.house, self.steps = house, 0
        self.windowed = house.store.outbox.windowed

    async def owe_again(self, ids, at):
        self.steps += 1
        if self.steps == 2:
            await self.house.courier.parking.disable("mine", "by hand", "operator")
        return await self.house.store.outbox.owe_again(ids, at)


async def test_a_replay_stops_where_its_endpoint_is_disabled_meanwhile_and_leaves_nothing_due_there(house, monkeypatch):
    monkeypatch.setattr("daemon.service.endpoint_desk.STEP", 2)
    await house.desk.put("mine", draft())
    for n in range(20):
        await house.courier.send_test("test.event", {"n": n}, "mine")
    await house.store.outbox.park("mine", "for the test", house.at, 20)
    window = Window(since=NOW - 10, until=NOW + 10, states=frozenset({"parked"}))
    outbox = _DisabledMeanwhile(house)

    sent = await replace(house.desk, outbox=outbox).replay("mine", window, dry_run=False)

    assert (outbox.steps, sent.matched) == (2, {"parked": 4})
    assert [state for state, _ in await house.states("mine")] == [DeliveryState.PARKED] * 20


async def test_one_delivery_is_owed_again_and_waits_parked_where_its_endpoint_is_disabled(house):
    await house.desk.put("mine", draft())
    delivery = await house.courier.send_test("test.event", {}, "mine")
    await house.courier.parking.disable("mine", "by hand", "operator")

    parked = await house.desk.deliveries.redeliver_one(delivery)
    await house.courier.parking.enable("mine")
    again = await house.desk.deliveries.redeliver_one(delivery)

    assert (parked.state, again.state, again.tries) == (DeliveryState.PARKED, DeliveryState.PENDING, 0)
    with pytest.raises(NotFound, match="no delivery"):
        await house.desk.deliveries.redeliver_one("dlv_nobody")


async def test_of_two_creations_at_once_one_creates_and_the_secret_it_told_signs(house):
    first, second = await asyncio.gather(house.desk.put("mine", draft()), house.desk.put("mine", draft(timeout=3.0)))

    told = hmac_key(first.secret)
    assert (first.is_new, second.is_new, second.secret) == (True, False, None)
    assert house.fingerprints("mine") == [told.fingerprint]


async def test_rotations_at_once_all_sign(house):
    await house.desk.put("mine", draft())

    told = await asyncio.gather(*(house.desk.rotate("mine", rotation()) for _ in range(2)))

    assert {hmac_key(one.secret).fingerprint for one in told} < set(house.fingerprints("mine"))


async def test_a_reload_loses_no_endpoint_that_is_made_meanwhile(house):
    await asyncio.gather(house.book.adopt(settings(default=CONFIGURED)), house.desk.put("mine", draft()))

    assert set(house.book.named) == {"default", "mine"}


async def test_an_endpoint_that_failed_before_a_restart_is_probed_not_flooded_after_it(house):
    await house.desk.put("mine", draft())
    for n in range(5):
        await house.courier.standing.refuses("mine", f"dlv_{n}", "refused")

    await house.again()
    await house.courier.send_test("test.event", {}, "mine")

    assert house.courier.pump.lanes["mine"].breaker.trouble is Trouble.OUTAGE
    assert (await house.desk.deliveries.view("mine")).state == "failing"
    await house.desk.put("mine", draft(url="https://other.example.com/"))
    assert house.courier.pump.lanes["mine"].breaker.trouble is None


async def test_a_parking_cut_short_goes_on_at_the_next_start_and_an_idle_one_writes_nothing(house):
    await house.desk.put("mine", draft())
    await house.courier.send_test("test.event", {}, "mine")
    await house.courier.standing.disable("mine", "the parking was cut short")

    await house.again()
    await house.courier.parking.release(house.book.named)
    parked = await house.states("mine")
    house.commits.clear()
    await house.courier.parking.release(house.book.named)

    assert parked == [(DeliveryState.PARKED, "endpoint disabled: the parking was cut short")]
    assert house.commits == []
