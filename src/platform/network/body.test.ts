// Bodies of senders that do not wait.
import { strict as assert } from "node:assert";
import { connect } from "node:net";
import { test } from "node:test";
import { listenHttp } from "./drivers/http-server.ts";
import { bodyOf } from "./http.ts";

type Took = string | Error;

/** @param send what the sender does once its head is out @returns what whoever reads a moment later gets */
async function taken(length: number, send: (write: (text: string) => void, leave: () => void) => void): Promise<Took> {
  let told: (took: Took) => void = () => {};
  const took = new Promise<Took>((resolve) => (told = resolve));
  const server = await listenHttp({
    host: "127.0.0.1",
    port: 0,
    handlers: [
      (request, response) => {
        const body = bodyOf(request);
        setTimeout(async () => {
          try {
            let text = "";
            for await (const piece of body.setEncoding("utf8")) text += piece;
            told(text);
          } catch (error) {
            told(error as Error);
          }
          response.end();
        }, 50);
        return true;
      },
    ],
  });
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {}); // a reset: it has left
  socket.write(`PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`);
  send(
    (text) => socket.write(text),
    () => socket.end(() => socket.destroy()),
  );
  const result = await took;
  await server.close();
  return result;
}

test("one that leaves behind its last byte: all of it is there", async () => {
  for (const length of [1, 5000, 400_000]) {
    const text = "x".repeat(length);
    assert.equal(
      await taken(length, (write, leave) => {
        write(text);
        leave();
      }),
      text,
      `${length} bytes`,
    );
  }
});

test("one that breaks off in the middle: whoever reads is told", async () => {
  const took = await taken(1000, (write, leave) => {
    write("x".repeat(500));
    leave();
  });
  assert.ok(took instanceof Error);
});
