// The folder where an installation keeps its state: ours alone (mode 0700), used by one installation at a time, and the
// home of the secrets that were made at its first start.
import { createHash, randomBytes } from "node:crypto";
import { link, mkdir, readFile, rename, rm, unlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { PlatformError } from "#base/errors.ts";
import type { GivenSecrets } from "./config.ts";
import { writeFileDurably } from "./durable-file.ts";
import type { Secrets } from "./supervisor/messages.ts";

const LOCK = "lock";
/** Two starts that both find a stale lock may race for it this often. */
const LOCK_TRIES = 5;

export interface DataFolder {
  readonly path: string;
  readonly secrets: Secrets;
  /** Give the folder back. */
  release(): Promise<void>;
}

type Owner = Readonly<{ pid: number; host: string; started: string | null }>;

/** Makes the folder where there is none, takes it, and reads or makes its secrets.
 *  @throws PlatformError config.invalid when another installation uses it, or when it cannot be written */
export async function openDataFolder(path: string, given: GivenSecrets): Promise<DataFolder> {
  try {
    await mkdir(join(path, "keys"), { recursive: true, mode: 0o700 });
    await takeLock(path);
  } catch (cause) {
    if (cause instanceof PlatformError) throw cause;
    const message = `The data folder ${path} cannot be used: ${(cause as Error).message}. Choose another with --data.`;
    throw new PlatformError("config.invalid", message, { cause });
  }
  try {
    return { path, secrets: await readSecrets(path, given), release: () => unlink(join(path, LOCK)) };
  } catch (error) {
    await unlink(join(path, LOCK));
    throw error;
  }
}

/** The lock is a file that names its owner. It appears whole or not at all: written beside, then linked, which fails when
 *  there is one. Only the holder of a second lock may replace one whose owner is gone, after another look: else of two
 *  that found it, the slower would replace the faster one's. */
async function takeLock(path: string): Promise<void> {
  const lock = join(path, LOCK);
  const turn = join(path, `${LOCK}.turn`);
  const own: Owner = { pid: process.pid, host: hostname(), started: await startOf(process.pid) };
  const draft = join(path, `${LOCK}.${process.pid}.${randomBytes(6).toString("hex")}`);
  await writeFile(draft, `${JSON.stringify(own)}\n`, { mode: 0o600 });
  try {
    for (let tries = 0; tries < LOCK_TRIES; tries += 1) {
      if (await linked(draft, lock)) return;
      await refuseIfAlive(path, lock);
      if (await linked(draft, turn)) {
        try {
          await refuseIfAlive(path, lock);
          await rename(draft, lock);
          return;
        } finally {
          await unlink(turn);
        }
      }
      await refuseIfAlive(path, turn);
      await rm(turn, { force: true }); // whoever held it was killed in the middle
    }
    throw new PlatformError("config.invalid", `The data folder ${path} is being taken by another start; try again.`);
  } finally {
    await rm(draft, { force: true });
  }
}

async function refuseIfAlive(path: string, lock: string): Promise<void> {
  const owner = await readOwner(lock);
  if (owner !== null && (await isAlive(owner))) throw inUse(path, owner);
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function inUse(path: string, owner: Owner): PlatformError {
  const who = `process ${owner.pid}${owner.host === hostname() ? "" : ` on ${owner.host}`}`;
  const message = `The data folder ${path} is in use by ${who}: stop that one first, or choose another folder with --data.`;
  return new PlatformError("config.invalid", message);
}

/** @returns null when there is no lock any more, or one that names nobody */
async function readOwner(lock: string): Promise<Owner | null> {
  const text = await readFile(lock, "utf8").catch(ignoreMissing);
  try {
    const owner = JSON.parse(text ?? "null") as Partial<Owner> | null;
    if (!Number.isSafeInteger(owner?.pid) || owner!.pid! <= 0) return null;
    return { pid: owner!.pid!, host: String(owner!.host), started: owner!.started ?? null };
  } catch {
    return null; // not written by us: links never show half a file
  }
}

/** Of another host nothing can be known: its lock counts. */
async function isAlive(owner: Owner): Promise<boolean> {
  if (owner.host !== hostname()) return true;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  const started = await startOf(owner.pid);
  return started === null || owner.started === null || started === owner.started;
}

/** When that process started, in the kernel's own count, with the boot it counts from: a number that was given to another
 *  process since (in a container every start is process 1) is told apart. Null where the system does not say.
 *  Source: proc(5), field 22 of /proc/PID/stat; the name in field 2 may hold spaces and brackets. */
async function startOf(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
    return `${boot.trim()}:${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
  } catch {
    return null; // no /proc: macOS
  }
}

async function readSecrets(path: string, given: GivenSecrets): Promise<Secrets> {
  const secret = async (name: string, value: string | null) => value ?? (await readOrMake(join(path, "keys", name)));
  const [adminToken, publishKey, cluster] = [
    await secret("admin-token", given.adminToken),
    await secret("publish-key", given.publishKey),
    await secret("cluster-secret", given.clusterSecret),
  ];
  return { adminToken, publishKey, clusterSecret: createHash("sha256").update(cluster).digest() };
}

/** @throws PlatformError config.invalid when the file is there and empty: somebody else's doing, not ours to mend */
async function readOrMake(file: string): Promise<string> {
  const kept = (await readFile(file, "utf8").catch(ignoreMissing))?.trim();
  if (kept === "") throw new PlatformError("config.invalid", `${file} is empty: put the secret back, or delete it.`);
  if (kept !== undefined) return kept;
  const made = randomBytes(24).toString("base64url");
  await writeFileDurably(file, `${made}\n`, 0o600);
  return made;
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
