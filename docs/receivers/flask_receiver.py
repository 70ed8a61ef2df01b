"""A receiver with Flask: pip install flask standardwebhooks"""

import os

from flask import Flask, request
from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["POLLHOOK_SECRET"])
seen: set[str] = set()  # in earnest: a unique column in your database
app = Flask(__name__)


@app.post("/hooks/pollhook")
def hook():
    body = request.get_data()  # the raw bytes: they are what is signed
    try:
        event = webhook.verify(body, dict(request.headers))
    except (WebhookVerificationError, ValueError):
        return "", 401
    if request.headers["webhook-id"] not in seen:  # delivery is at least once
        seen.add(request.headers["webhook-id"])
        print(event["type"], event["data"].get("outputs"), flush=True)  # hand slow work to a queue and answer at once
    return "", 204


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "9000")))
