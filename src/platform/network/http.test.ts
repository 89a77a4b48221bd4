import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { test } from "node:test";
import { acceptsGzip, readText } from "./http.ts";

test("a body is read whole, across pieces that cut a character, and refused when it is too long", async () => {
  const bytes = Buffer.from("grüße");
  const body = () => Readable.from([bytes.subarray(0, 3), bytes.subarray(3)]) as IncomingMessage;
  assert.equal(await readText(body(), bytes.length), "grüße");
  await assert.rejects(readText(body(), bytes.length - 1), { code: "api.bad_request" });
});

test("gzip is sent to who names it and does not rule it out", () => {
  const accepts = (header?: string) =>
    acceptsGzip({ headers: header === undefined ? {} : { "accept-encoding": header } } as IncomingMessage);
  for (const header of ["gzip", "br, gzip", "gzip;q=0.5", "gzip; q=1, br"]) assert.equal(accepts(header), true, header);
  for (const header of [undefined, "", "br", "gzip;q=0", "gzip; q=0.00, br", "br, gzip;q=0 "])
    assert.equal(accepts(header), false, header);
});
