// Verifies messages with the official libraries: `node verify.mjs FOLDER < cases.json`, FOLDER holding node_modules.
// A case is {secret, headers, body (base64), now (ms)}; the answer lists, per case, what each library said.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.argv[2]}/package.json`);
const libraries = { standardwebhooks: require("standardwebhooks").Webhook, svix: require("svix").Webhook };
const OldDate = Date;

function verdict(Webhook, { secret, headers, body, now }) {
  globalThis.Date = class extends OldDate {
    constructor(...words) {
      super(...(words.length ? words : [now]));
    }
    static now() {
      return now;
    }
  };
  try {
    new Webhook(secret).verify(Buffer.from(body, "base64").toString("utf8"), headers);
    return "accepted";
  } catch (error) {
    return `refused: ${error.name}: ${error.message}`;
  } finally {
    globalThis.Date = OldDate;
  }
}

const cases = JSON.parse(readFileSync(0, "utf8"));
const answer = cases.map((each) =>
  Object.fromEntries(Object.entries(libraries).map(([name, Webhook]) => [name, verdict(Webhook, each)])),
);
process.stdout.write(JSON.stringify(answer));
