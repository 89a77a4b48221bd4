// Sockets as modules see them. Drivers: node (real), memory (tests and simulations, with seeded faults).

export interface TcpConnection {
  /** "127.0.0.1:50312", for log lines. */
  readonly remote: string;
  /** Bytes written and not yet taken by the peer's side. */
  readonly queuedBytes: number;
  /** @returns false when the peer reads more slowly than we write (`onDrain` tells when it caught up), or when we have
   *  ended and the bytes go nowhere (`onClose` follows) */
  write(bytes: Uint8Array): boolean;
  pause(): void;
  resume(): void;
  /** Finish what is queued, then close. */
  end(): void;
  /** Close now. */
  destroy(): void;
  /** Nothing is read from the peer before this is called (of a TLS connection: one record's worth, no more). The bytes
   *  are the listener's to keep. */
  onData(listener: (bytes: Uint8Array) => void): void;
  onDrain(listener: () => void): void;
  /** Once, whatever the cause; the error when there was one. */
  onClose(listener: (error: Error | null) => void): void;
}

export interface Listener {
  readonly host: string;
  /** The real port, also when 0 was asked for. */
  readonly port: number;
  /** Stop listening and destroy what is open. */
  close(): Promise<void>;
}

/** PEM files: the certificate with the chain that leads to its authority, and its key. */
export type Certificate = Readonly<{ certificate: string; key: string }>;

export type UdpAddress = Readonly<{
  /** Address to receive on; of a multicast group the group's own, so that other groups of the port stay out. */
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** Wanted room for datagrams that nobody has read yet; the system may give less. */
  receiveBufferBytes: number;
  /** A group to join: `source` limits it to that sender (RFC 4607), `interface` is the local address to join on, else the
   *  system chooses. */
  multicast?: Readonly<{ group: string; source?: string; interface?: string }>;
}>;

export type UdpPeer = Readonly<{ host: string; port: number }>;

export interface UdpSocket {
  readonly host: string;
  /** The real port, also when 0 was asked for. */
  readonly port: number;
  /** What the system gave; less than asked for means that bursts will be lost. */
  readonly receiveBufferBytes: number;
  /** Fire and forget: a datagram that cannot be sent is lost like any other. */
  send(bytes: Uint8Array, to: UdpPeer): void;
  /** Datagrams that the system threw away since the socket was opened, for want of room; null where it does not tell. */
  drops(): Promise<number | null>;
  /** Once, when the system took the socket away; not after `close`. */
  onError(listener: (error: Error) => void): void;
  close(): Promise<void>;
}

export interface Network {
  /** @param address port 0 takes a free one
   *  @throws PlatformError network.address_in_use; config.invalid when no such address can be ours */
  listenTcp(
    address: Readonly<{ host: string; port: number }>,
    onConnection: (connection: TcpConnection) => void,
  ): Promise<Listener>;
  /** TCP under TLS 1.2 or newer. A connection is told once its handshake is done. When the files change, new connections
   *  get the new certificate.
   *  @throws PlatformError network.address_in_use; config.invalid, also when the files do not hold a certificate and its key */
  listenTls(
    address: Readonly<{ host: string; port: number; tls: Certificate }>,
    onConnection: (connection: TcpConnection) => void,
  ): Promise<Listener>;
  /** @throws PlatformError network.unreachable when refused or not connected within timeoutMs */
  connectTcp(address: Readonly<{ host: string; port: number; timeoutMs: number }>): Promise<TcpConnection>;
  /** @param address `authority`: PEM of who vouches for the peer, when the system does not know it
   *  @throws PlatformError network.unreachable, also when the peer's certificate is not to be trusted */
  connectTls(
    address: Readonly<{ host: string; port: number; timeoutMs: number; authority?: string }>,
  ): Promise<TcpConnection>;
  /** @param onDatagram the bytes are the listener's to keep
   *  @throws PlatformError network.address_in_use; config.invalid when the address or the group cannot be used */
  openUdp(address: UdpAddress, onDatagram: (bytes: Buffer, from: UdpPeer) => void): Promise<UdpSocket>;
}
