"""A receiver with aiohttp: pip install aiohttp standardwebhooks"""

import os

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["POLLHOOK_SECRET"])
seen: set[str] = set()  # in earnest: a unique column in your database


async def hook(request: web.Request) -> web.Response:
    body = await request.read()  # the raw bytes: they are what is signed
    try:
        event = webhook.verify(body, dict(request.headers))
    except (WebhookVerificationError, ValueError):
        return web.Response(status=401)
    if request.headers["webhook-id"] not in seen:  # delivery is at least once
        seen.add(request.headers["webhook-id"])
        print(event["type"], event["data"].get("outputs"), flush=True)  # hand slow work to a queue and answer at once
    return web.Response(status=204)


app = web.Application(client_max_size=512 * 1024)
app.router.add_post("/hooks/pollhook", hook)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "9000")))
