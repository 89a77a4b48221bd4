// One request of a form or a button: while it runs, what went wrong, and who asks for the token when it is missing.
import { useState } from "preact/hooks";
import { ApiError, ask } from "./api.ts";

export type Request = {
  busy: boolean;
  /** For the person in front; null after one that went well. */
  error: string | null;
  /** @returns null when it went wrong: `error` says how */
  send<T>(path: string, method: string, body?: unknown, revision?: string): Promise<T | null>;
  fail(message: string): void;
};

export function useRequest(onDenied: () => void): Request {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  return {
    busy,
    error,
    fail: setError,
    async send<T>(path: string, method: string, body?: unknown, revision?: string) {
      setBusy(true);
      try {
        const answer = await ask<T>(path, method, body, revision);
        setError(null);
        return answer ?? ({} as T); // nothing to say is an answer too
      } catch (failure) {
        if (failure instanceof ApiError && failure.status === 401) onDenied();
        else setError(failure instanceof Error ? failure.message : String(failure));
        return null;
      } finally {
        setBusy(false);
      }
    },
  };
}
