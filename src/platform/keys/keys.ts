// Short-lived scoped tokens between roles (JWT, HS256, one secret per installation).

/** What a bearer may do. `session`: read that session's log, push its media, tell its progress. `worker`: speak as that
 *  worker to control. `publish`: publish to that channel, as a source
 *  of its own. `internal`: role to role. */
export type Scope =
  | Readonly<{ kind: "session"; session: string; channel: string }>
  | Readonly<{ kind: "worker"; worker: string }>
  | Readonly<{ kind: "publish"; channel: string }>
  | Readonly<{ kind: "internal"; role: string }>;

export interface Keys {
  /** @param ttlSeconds validity from now */
  mint(scope: Scope, ttlSeconds: number): Promise<string>;
  /** @throws PlatformError api.unauthorized for anything that is not ours and in time */
  verify(token: string): Promise<Scope>;
}

/** The token of an `Authorization: Bearer` header; null when there is none. */
export function bearer(authorization: string | undefined): string | null {
  const match = /^Bearer ([\w.~+/-]+=*)$/.exec(authorization ?? "");
  return match?.[1] ?? null;
}
