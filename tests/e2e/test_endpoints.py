"""Endpoints of the real daemon: what was answered holds after a kill, and the receiver verifies it throughout."""

from __future__ import annotations

import pytest
from standardwebhooks import Webhook

from daemon.demo.receiver import Receiver
from tests.e2e.rig import SECRET, Rig

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


async def test_an_endpoint_and_its_rotation_survive_kill_9(tmp_path):
    async with Receiver(SECRET) as mine, Rig(tmp_path) as rig:
        port = mine.url.partition("127.0.0.1:")[2].partition("/")[0]
        rig.write_config(egress={"allow": [f"127.0.0.1/32:{port}"]})
        await rig.start()
        status, made = await rig.call("PUT", "/v1/endpoints/mine", {"url": mine.url, "secret": SECRET})
        await rig.kill()
        await rig.start()
        turned, fresh = await rig.call("POST", "/v1/endpoints/mine/rotate", {"grace": "1h"})
        await rig.kill()
        await rig.start()
        _, shown = await rig.call("GET", "/v1/endpoints/mine")
        sent, delivery = await rig.call("POST", "/v1/endpoints/mine/test")

        async def is_delivered():
            return (await rig.call("GET", f"/v1/deliveries/{delivery['id']}"))[1]["state"] == "delivered"

        await rig.until(is_delivered, what="the test event")

        assert (status, made["secret"], turned, sent) == (201, SECRET, 200, 202)
        assert (len(shown["keys"]), shown["source"]) == (2, "api")
        assert shown["rotation_ends_at"] is not None
        assert Webhook(fresh["secret"])
        assert fresh["secret"] not in rig.log.read_text()
        state = b"".join(file.read_bytes() for file in (tmp_path / "state").glob("pollhook.db*"))
        assert fresh["secret"].removeprefix("whsec_").encode() not in state


async def test_a_start_without_the_store_s_key_fails_and_says_what_to_do(tmp_path):
    async with Rig(tmp_path) as rig:
        rig.write_config(**{"endpoints.default": {"secret": None}})
        await rig.start()
        await rig.stop()
        (tmp_path / "state" / "store-key").unlink()

        status = await rig.start(expect_ready=False)

        assert status == 3
        assert "put it back from a backup" in rig.log.read_text()
        assert not (tmp_path / "state" / "store-key").exists()
