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
  /** Nothing is read from the peer before this is called. The bytes are the listener's to keep. */
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

export interface Network {
  /** @param address port 0 takes a free one
   *  @throws PlatformError network.address_in_use; config.invalid when no such address can be ours */
  listenTcp(
    address: Readonly<{ host: string; port: number }>,
    onConnection: (connection: TcpConnection) => void,
  ): Promise<Listener>;
  /** @throws PlatformError network.unreachable when refused or not connected within timeoutMs */
  connectTcp(address: Readonly<{ host: string; port: number; timeoutMs: number }>): Promise<TcpConnection>;
}
