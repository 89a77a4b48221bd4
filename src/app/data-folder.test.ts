import { strict as assert } from "node:assert";
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hashKey } from "#control/channel-keys.ts";
import type { StoredChannel } from "#control/channels.ts";
import { channelDefaults } from "#media/channel.ts";
import { channelFile } from "./channel-file.ts";
import { openDataFolder } from "./data-folder.ts";

const NONE = { adminToken: null, publishKey: null, clusterSecret: null };

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "continuity-data-"));
  try {
    await body(join(folder, "deep", "data"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

test("the first start makes folder and secrets, for us alone; the next one finds the same", () =>
  inFolder(async (path) => {
    const first = await openDataFolder(path, NONE);
    await first.release();
    const second = await openDataFolder(path, NONE);
    assert.deepEqual(second.secrets, first.secrets);
    assert.match(first.secrets.publishKey, /^[\w-]{32}$/);
    assert.notEqual(first.secrets.publishKey, first.secrets.adminToken);
    assert.equal(first.secrets.clusterSecret.byteLength, 32);
    assert.equal(await modeOf(path), "700");
    for (const name of ["admin-token", "publish-key", "cluster-secret"])
      assert.equal(await modeOf(join(path, "keys", name)), "600");
    await second.release();
  }));

test("given secrets go before the folder's and are not written there", () =>
  inFolder(async (path) => {
    const given = { adminToken: "a".repeat(20), publishKey: "given-publish-key", clusterSecret: "c".repeat(40) };
    const folder = await openDataFolder(path, given);
    assert.equal(folder.secrets.publishKey, "given-publish-key");
    assert.deepEqual(await readdir(join(path, "keys")), []);
    await folder.release();
  }));

test("a second start in the same folder is refused and names the first", () =>
  inFolder(async (path) => {
    const folder = await openDataFolder(path, NONE);
    await assert.rejects(openDataFolder(path, NONE), {
      code: "config.invalid",
      message: new RegExp(`in use by process ${process.pid}: stop that one`),
    });
    await folder.release();
    assert.deepEqual((await readdir(path)).toSorted(), ["keys"]);
  }));

test("a lock whose owner was killed is taken over", () =>
  inFolder(async (path) => {
    const file = JSON.stringify(join(import.meta.dirname, "data-folder.ts"));
    const code = `import(${file}).then(({ openDataFolder }) => openDataFolder(${JSON.stringify(path)}, ${JSON.stringify(NONE)})).then(() => process.send("taken")); setInterval(() => {}, 1000);`;
    const child = fork("-e", [code], { execArgv: ["--disable-warning=ExperimentalWarning"], stdio: "ignore" });
    await once(child, "message");
    await assert.rejects(openDataFolder(path, NONE), { message: new RegExp(`process ${child.pid}`) });
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    await (await openDataFolder(path, NONE)).release();
  }));

test("a process number that belongs to another process by now holds no lock", () =>
  inFolder(async (path) => {
    await (await openDataFolder(path, NONE)).release();
    const stale = { pid: process.pid, host: hostname(), started: "another-boot:1" };
    await writeFile(join(path, "lock"), JSON.stringify(stale));
    await (await openDataFolder(path, NONE)).release();
    await writeFile(join(path, "lock"), "not ours");
    await (await openDataFolder(path, NONE)).release();
  }));

test("another host's lock counts: whether that one lives cannot be known here", () =>
  inFolder(async (path) => {
    await (await openDataFolder(path, NONE)).release();
    await writeFile(join(path, "lock"), JSON.stringify({ pid: 1, host: "elsewhere", started: null }));
    await assert.rejects(openDataFolder(path, NONE), { message: /process 1 on elsewhere/ });
  }));

test("of many starts at once exactly one gets the folder, also from a stale lock", () =>
  inFolder(async (path) => {
    await (await openDataFolder(path, NONE)).release();
    await writeFile(join(path, "lock"), JSON.stringify({ pid: 2 ** 22 + 1, host: hostname(), started: null }));
    const results = await Promise.allSettled(Array.from({ length: 12 }, () => openDataFolder(path, NONE)));
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
  }));

test("a folder that cannot be made, an emptied secret: refused with what to do", () =>
  inFolder(async (path) => {
    await (await openDataFolder(path, NONE)).release();
    await assert.rejects(openDataFolder(join(path, "keys", "admin-token", "x"), NONE), {
      message: /Choose another with --data/,
    });
    await writeFile(join(path, "keys", "publish-key"), "\n");
    await assert.rejects(openDataFolder(path, NONE), { message: /publish-key is empty/ });
    await writeFile(join(path, "keys", "publish-key"), "kept-key\n");
    const folder = await openDataFolder(path, NONE); // the failure before gave the lock back
    assert.equal(folder.secrets.publishKey, "kept-key");
    await folder.release();
  }));

test("channels come back from the file as they were saved; a damaged file is refused, not emptied", () =>
  inFolder(async (path) => {
    await (await openDataFolder(path, NONE)).release();
    const file = join(path, "channels.json");
    const store = channelFile(file);
    assert.deepEqual(await store.load(), []);
    const entry: StoredChannel = {
      channel: { ...channelDefaults, name: "news", origin: "auto", ladder: [{ height: 720 }] },
      keys: [{ name: "van", sha256: hashKey("secret") }],
    };
    await store.save([entry]);
    assert.deepEqual(await store.load(), [entry]);
    assert.deepEqual((await readdir(path)).toSorted(), ["channels.json", "keys"]);
    const text = await readFile(file, "utf8");
    for (const damaged of [
      text.slice(0, -20),
      text.replace('"version": 1', '"version": 2'),
      text.replace("news", "N"),
    ]) {
      await writeFile(file, damaged);
      await assert.rejects(store.load(), { code: "journal.failed", message: /mend it/ });
    }
  }));
