/** Paths on which roles call each other; all need an internal token. */
export const PATHS = {
  /** Gateway -> control. */
  authorize: "/internal/control/authorize",
  openSession: "/internal/control/sessions",
  wantedInputs: "/internal/control/inputs",
  /** Control -> gateway. */
  gatewayState: "/internal/gateway/state",
  stopSession: "/internal/gateway/stop",
  kickSession: "/internal/gateway/kick",
  /** Control -> origin. */
  originState: "/internal/origin/state",
  originOpenSession: "/internal/origin/open-session",
} as const;
