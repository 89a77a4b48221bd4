/** A state in a word and a colour; the word alone says it too. */
const LOOKS: Record<string, string> = {
  live: "air",
  starting: "warn",
  interrupted: "warn",
  ending: "dim",
  ended: "dim",
  failed: "bad",
  idle: "dim",
  running: "good",
  warm: "good",
  ready: "good",
  draining: "dim",
};

export function StateBadge({ state }: { state: string }) {
  return (
    <span class={`badge ${LOOKS[state] ?? "dim"}`}>
      <span class="dot" aria-hidden="true" />
      {state}
    </span>
  );
}
