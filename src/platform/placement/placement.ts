// Where media functions run. Drivers: child process (under the supervisor), memory (simulation).

export type Workload = Readonly<{
  id: string;
  role: "transcode" | "package" | "demo-source" | "pull";
  /** What makes two workloads with one id different. */
  specHash: string;
  /** Environment for the process: addresses and a token, nothing else. */
  env: Readonly<Record<string, string>>;
}>;

export type Running = Readonly<{
  id: string;
  role: Workload["role"];
  specHash: string;
  phase: "starting" | "ready" | "failed";
  sinceMs: number;
  /** Of child processes only. */
  pid: number | null;
  node: string;
}>;

export interface Placement {
  /** Make it exist. Same id and specHash twice is a no-op, unless it failed; a new specHash replaces.
   *  @throws PlatformError placement.no_capacity */
  ensure(workload: Workload): Promise<void>;
  /** Make it absent. An unknown id is success. Resolves when asked, not when gone. */
  remove(id: string): Promise<void>;
  /** What is there now, read from the source each time, never from memory. A process that ended is listed as failed
   *  until it is removed or ensured again; one that ended with code 0 is not listed. */
  list(): Promise<Running[]>;
  /** Called soon after anything in list() changed. @returns a function that stops it */
  onChange(listener: () => void): () => void;
}
