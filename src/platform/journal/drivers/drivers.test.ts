import { strict as assert } from "node:assert";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { seededRandom } from "#base/random.ts";
import { journalConformance, recordsOf } from "../conformance.ts";
import { fileJournals } from "./file.ts";
import { memoryJournals } from "./memory.ts";
import { HEADER_BYTES } from "./record-file.ts";

const CHILD = join(import.meta.dirname, "testing/append-forever.ts");

async function tempFolder() {
  const path = await mkdtemp(join(tmpdir(), "journal-"));
  return { path, close: () => rm(path, { recursive: true, force: true }) };
}

/** @param body gets an own folder that is removed afterwards */
const inFolder = (title: string, body: (path: string) => Promise<void>) =>
  test(`file: ${title}`, async () => {
    const { path, close } = await tempFolder();
    try {
      await body(path);
    } finally {
      await close();
    }
  });

journalConformance("memory", async () => ({ folder: memoryJournals(), close: async () => {} }));
journalConformance("file", async () => {
  const { path, close } = await tempFolder();
  return { folder: fileJournals(join(path, "not/made/yet")), close };
});

test("memory: a failing disk is a code, and passes", async () => {
  let full = true;
  const journal = await memoryJournals({ fails: () => full }).open("a");
  await assert.rejects(journal.append(Buffer.from("1")), { code: "journal.failed" });
  full = false;
  await journal.append(Buffer.from("2"));
  assert.deepEqual(await recordsOf(journal), ["2"]);
});

const RECORDS = ["first", "", "third record", "4"];

/** A closed journal "a" with those records. @returns its file and the offsets at which its records end */
async function written(path: string): Promise<{ file: string; bytes: Buffer; ends: number[] }> {
  const file = join(path, "a.journal");
  const journal = await fileJournals(path).open("a");
  const ends = [HEADER_BYTES];
  for (const record of RECORDS) {
    await journal.append(Buffer.from(record));
    ends.push((await readFile(file)).length);
  }
  await journal.close();
  return { file, bytes: await readFile(file), ends };
}

inFolder("cut at any byte, it holds the records before the cut and takes new ones", async (path) => {
  const { file, bytes, ends } = await written(path);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    await writeFile(file, bytes.subarray(0, cut));
    const left = RECORDS.filter((_, i) => ends[i + 1]! <= cut);
    const journal = await fileJournals(path).open("a");
    assert.deepEqual(await recordsOf(journal), left, `cut at ${cut}`);
    await journal.append(Buffer.from("new"));
    await journal.close();
    const again = await fileJournals(path).open("a");
    assert.deepEqual(await recordsOf(again), [...left, "new"], `cut at ${cut}, opened again`);
    await again.close();
  }
});

inFolder("any flipped bit ends it before that record, or makes it a foreign file", async (path) => {
  const { file, bytes, ends } = await written(path);
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const wrong = Buffer.from(bytes);
    const at = bit >> 3;
    wrong.writeUInt8(wrong[at]! ^ (1 << (bit & 7)), at);
    await writeFile(file, wrong);
    if (at < ends[0]!) {
      await assert.rejects(fileJournals(path).open("a"), { code: "journal.failed" });
      assert.deepEqual(await readFile(file), wrong, "a foreign file is left as it is");
      continue;
    }
    const journal = await fileJournals(path).open("a");
    const left = RECORDS.filter((_, i) => ends[i + 1]! <= at);
    assert.deepEqual(await recordsOf(journal), left, `bit ${bit}`);
    await journal.close();
  }
});

inFolder("a tail of zeros or of garbage is cut off", async (path) => {
  const { file, bytes } = await written(path);
  const random = seededRandom(1);
  const tails = [
    Buffer.alloc(4096),
    Buffer.alloc(7, 255),
    ...Array.from({ length: 50 }, (_, i) => random.bytes(i + 1)),
  ];
  for (const tail of tails) {
    await writeFile(file, Buffer.concat([bytes, tail]));
    const journal = await fileJournals(path).open("a");
    assert.deepEqual(await recordsOf(journal), RECORDS);
    assert.equal((await readFile(file)).length, bytes.length);
    await journal.close();
  }
});

inFolder("damage after it was opened is reported, not taken for its end", async (path) => {
  const { file, bytes, ends } = await written(path);
  const journal = await fileJournals(path).open("a");
  const wrong = Buffer.from(bytes);
  wrong.writeUInt8(wrong[ends[2]! + 9]! ^ 1, ends[2]! + 9);
  await writeFile(file, wrong);
  await assert.rejects(recordsOf(journal), { code: "journal.failed", message: new RegExp(`byte ${ends[2]}`) });
  await journal.close();
});

inFolder("two openings of one journal are a mistake", async (path) => {
  const journals = fileJournals(path);
  const journal = await journals.open("a");
  await assert.rejects(journals.open("a"), { name: "AssertionError" });
  await journal.close();
  await (await journals.open("a")).close();
});

inFolder("a folder that cannot be made is a code", async (path) => {
  await writeFile(join(path, "file"), "");
  await assert.rejects(fileJournals(join(path, "file")).open("a"), { code: "journal.failed" });
});

type Child = { child: ChildProcess; lines: AsyncIterableIterator<string>; closed: Promise<unknown> };

function start(command: string, args: readonly string[]): Child {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  const closed = new Promise((resolve) => child.once("close", resolve));
  return { child, lines: createInterface({ input: child.stdout! })[Symbol.asyncIterator](), closed };
}

const numbersIn = (records: readonly string[]) => new Set(records.map((record) => Number(record.split(":")[0])));

inFolder("after kill -9 every acknowledged record is there, whole", async (path) => {
  const random = seededRandom(3);
  for (let round = 0; round < 4; round += 1) {
    const bytes = 20 + random.int(0, 60_000);
    const { child, lines, closed } = start(process.execPath, [CHILD, path, `r${round}`, String(bytes), "5"]);
    const acknowledged: number[] = [];
    const enough = random.int(20, 120);
    for await (const line of lines) {
      acknowledged.push(Number(line.split(" ")[1]));
      if (acknowledged.length === enough) child.kill("SIGKILL"); // and go on: what it still says was acknowledged too
    }
    await closed;
    const journal = await fileJournals(path).open(`r${round}`);
    const records = await recordsOf(journal);
    await journal.close();
    assert.ok(acknowledged.length >= enough);
    assert.ok(new Set(acknowledged).isSubsetOf(numbersIn(records)), `round ${round}`);
    assert.ok(records.every((record) => record.length === bytes));
  }
});

inFolder("on a full disk an append fails with a code, and a smaller one may succeed", async (path) => {
  // A limit on file size stands in for a full disk: it needs no root, and the write fails half-way just the same.
  const limit = 'ulimit -f 128 && exec "$0" "$@"';
  const { lines, closed } = start("sh", ["-c", limit, process.execPath, CHILD, path, "a", "9000", "3"]);
  const said = await Array.fromAsync(lines);
  await closed;
  const acknowledged = said.filter((line) => line.startsWith("ok ")).map((line) => Number(line.split(" ")[1]));
  assert.match(said.at(-2) ?? "", /^failed journal\.failed: .*EFBIG/);
  assert.equal(said.at(-1), "small ok");
  const { size } = await stat(join(path, "a.journal"));
  assert.equal(size, 8 + acknowledged.length * (8 + 9000) + 8 + "small".length, "nothing of what failed is left in it");
  const journal = await fileJournals(path).open("a");
  const records = await recordsOf(journal);
  await journal.close();
  assert.deepEqual(numbersIn(records.slice(0, -1)), new Set(acknowledged));
  assert.equal(records.at(-1), "small");
});

inFolder("a disk without space does not keep a journal from being opened and read", async (path) => {
  // No file may have a byte: what opening would write could not be written.
  const script = `const { fileJournals } = await import(${JSON.stringify(new URL("./file.ts", import.meta.url).href)});
    process.on("SIGXFSZ", () => {});
    const journal = await fileJournals(process.argv[1]).open("a");
    const records = await Array.fromAsync(journal.read());
    const append = await journal.append(Buffer.from("1")).then(() => "ok", (error) => error.code);
    await journal.close();
    console.log(records.length, append);`;
  const { lines, closed } = start("sh", ["-c", 'ulimit -f 0 && exec "$0" "$@"', process.execPath, "-e", script, path]);
  assert.deepEqual(await Array.fromAsync(lines), ["0 journal.failed"]);
  await closed;
  const journal = await fileJournals(path).open("a");
  await journal.append(Buffer.from("1"));
  assert.deepEqual(await recordsOf(journal), ["1"]);
  await journal.close();
});

inFolder(
  "a file that was emptied under it gives no records and takes new ones after it is opened again",
  async (path) => {
    const { file } = await written(path);
    await truncate(file, 0);
    const journal = await fileJournals(path).open("a");
    assert.deepEqual(await recordsOf(journal), []);
    await journal.append(Buffer.from("new"));
    await journal.close();
    assert.deepEqual(await fileJournals(path).list(), ["a"]);
  },
);
