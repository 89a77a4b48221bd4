// UDP by node:dgram. What gets lost between the wire and us, only the kernel knows: Linux counts it per socket in
// /proc/net/udp, elsewhere nobody says.
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { UdpAddress, UdpPeer, UdpSocket } from "../network.ts";
import { dropsOf, forgetInode, inodeOf } from "./kernel-drops.ts";
import { joinError, listenError } from "./listen-error.ts";

/** Linux doubles what is asked for and tells the double: the other half is for its own book-keeping. Source: socket(7) */
const KERNEL_SHARE = process.platform === "linux" ? 2 : 1;

export async function openUdp(
  { host, port, receiveBufferBytes, multicast }: UdpAddress,
  onDatagram: (bytes: Buffer, from: UdpPeer) => void,
): Promise<UdpSocket> {
  const family = isIPv6(host) || (multicast && isIPv6(multicast.group)) ? "udp6" : "udp4";
  // Other programs may listen to the same group. A port of our own must not be shared: datagrams would go to one of two.
  const socket = createSocket({ type: family, reuseAddr: multicast !== undefined });
  const listeners: ((error: Error) => void)[] = [];
  socket.on("message", (bytes, { address, port: from }) => onDatagram(bytes, { host: address, port: from }));
  const real = await bind(socket, { host, port });
  try {
    if (multicast) join(socket, multicast);
  } catch (cause) {
    await closed(socket);
    throw joinError(multicast!.group, multicast!.interface, cause as NodeJS.ErrnoException);
  }
  socket.on("error", (error) => {
    for (const listener of listeners.splice(0)) listener(error);
  });
  const inode = await inodeOf(family, real);
  return {
    host,
    port: real,
    receiveBufferBytes: grown(socket, receiveBufferBytes),
    send: (bytes, to) => socket.send(bytes, to.port, to.host, () => {}),
    drops: () => dropsOf(inode),
    onError: (listener) => void listeners.push(listener),
    close() {
      forgetInode(inode);
      return closed(socket);
    },
  };
}

function bind(socket: Socket, { host, port }: UdpPeer): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      socket.close();
      reject(listenError({ host, port }, error));
    };
    socket.once("error", failed);
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeListener("error", failed);
      resolve(socket.address().port);
    });
  });
}

function join(socket: Socket, { group, source, interface: local }: NonNullable<UdpAddress["multicast"]>): void {
  if (source === undefined) socket.addMembership(group, local);
  else socket.addSourceSpecificMembership(source, group, local);
}

/** @returns what the system gave */
function grown(socket: Socket, wantedBytes: number): number {
  socket.setRecvBufferSize(wantedBytes);
  return Math.floor(socket.getRecvBufferSize() / KERNEL_SHARE);
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}
