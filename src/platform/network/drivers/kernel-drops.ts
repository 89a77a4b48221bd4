// How many datagrams the kernel threw away for a socket. Node does not hand a socket's descriptor out, so it is found by
// its port, and among several of one port (a group that other programs listen to as well) by what this process has open.
import { readdir, readFile, readlink } from "node:fs/promises";

export type SocketInode = Readonly<{ table: string; inode: string; dropsBefore: number }>;

type Row = Readonly<{ port: number; inode: string; drops: number }>;

/** Sockets of ours that are known already: of two on one port, the other one is the new one. */
const claimed = new Set<string>();

/** Reads of a table that are under way: many sockets ask at once. */
const reading = new Map<string, Promise<Row[]>>();

/** Called once for each socket that was opened.
 *  @returns null where there is no such table, or the socket is not in it */
export async function inodeOf(family: "udp4" | "udp6", port: number): Promise<SocketInode | null> {
  const table = family === "udp4" ? "/proc/net/udp" : "/proc/net/udp6";
  const rows = (await rowsOf(table)).filter((row) => row.port === port);
  const own = rows.length > 1 ? await openInodes() : null;
  const found = rows.find(({ inode }) => (own === null || own.has(inode)) && !claimed.has(inode));
  if (!found) return null;
  claimed.add(found.inode);
  return { table, inode: found.inode, dropsBefore: found.drops };
}

/** The socket is closed. */
export function forgetInode(socket: SocketInode | null): void {
  if (socket) claimed.delete(socket.inode);
}

export async function dropsOf(socket: SocketInode | null): Promise<number | null> {
  if (socket === null) return null;
  const row = (await rowsOf(socket.table)).find(({ inode }) => inode === socket.inode);
  return row ? Math.max(0, row.drops - socket.dropsBefore) : null;
}

function rowsOf(table: string): Promise<Row[]> {
  const known = reading.get(table);
  if (known) return known;
  const rows = readFile(table, "latin1").then(parse, () => []); // no Linux
  reading.set(table, rows);
  void rows.then(() => reading.delete(table));
  return rows;
}

/** Columns: sl, local address:port in hex, ..., inode the tenth, drops the last. Source: the kernel's own heading line */
export function parse(text: string): Row[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const columns = line.trim().split(/\s+/);
      const port = Number.parseInt(columns[1]?.split(":")[1] ?? "", 16);
      const [inode, drops] = [columns[9], Number(columns.at(-1))];
      return inode === undefined || Number.isNaN(port) || Number.isNaN(drops) ? [] : [{ port, inode, drops }];
    });
}

async function openInodes(): Promise<Set<string>> {
  const folder = "/proc/self/fd";
  const names = await readdir(folder);
  const targets = await Promise.all(names.map((name) => readlink(`${folder}/${name}`).catch(() => ""))); // closed meanwhile
  return new Set(targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []));
}
