"""A receiver with FastAPI: pip install fastapi uvicorn standardwebhooks"""

import os

import uvicorn
from fastapi import FastAPI, Request, Response
from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["POLLHOOK_SECRET"])
seen: set[str] = set()  # in earnest: a unique column in your database
app = FastAPI()


@app.post("/hooks/pollhook")
async def hook(request: Request) -> Response:
    body = await request.body()  # the raw bytes, not a model: they are what is signed
    try:
        event = webhook.verify(body, dict(request.headers))
    except (WebhookVerificationError, ValueError):
        return Response(status_code=401)
    if request.headers["webhook-id"] not in seen:  # delivery is at least once
        seen.add(request.headers["webhook-id"])
        print(event["type"], event["data"].get("outputs"), flush=True)  # hand slow work to a queue and answer at once
    return Response(status_code=204)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "9000")), log_level="warning")
