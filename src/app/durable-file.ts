// A small file that is replaced whole: after a crash there is the old content or the new one, never a part.
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

let drafts = 0;

/** Durable when it resolves: written beside, synced, renamed, and the folder synced. */
export async function writeFileDurably(path: string, content: string, mode = 0o600): Promise<void> {
  const draft = `${path}.${process.pid}.${++drafts}.tmp`;
  try {
    const file = await open(draft, "wx", mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
