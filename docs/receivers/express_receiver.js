// A receiver with Express: npm install express standardwebhooks
const express = require("express");
const { Webhook } = require("standardwebhooks");

const webhook = new Webhook(process.env.POLLHOOK_SECRET);
const seen = new Set(); // in earnest: a unique column in your database
const app = express();

// express.raw, not express.json: the raw bytes are what is signed.
app.post("/hooks/pollhook", express.raw({ type: "application/json", limit: "512kb" }), (request, response) => {
  let event;
  try {
    event = webhook.verify(request.body.toString("utf8"), request.headers);
  } catch {
    return response.sendStatus(401);
  }
  if (!seen.has(request.headers["webhook-id"])) { // delivery is at least once
    seen.add(request.headers["webhook-id"]);
    console.log(event.type, event.data.outputs); // hand slow work to a queue and answer at once
  }
  return response.sendStatus(204);
});

app.listen(Number(process.env.PORT ?? 9000), "127.0.0.1");
