import { useState } from "preact/hooks";
import { token } from "./api.ts";

export function TokenPrompt({ reason, onDone }: { reason: string | null; onDone: () => void }) {
  const [value, setValue] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    token.set(value.trim() === "" ? null : value.trim());
    onDone();
  };
  return (
    <form class="prompt" onSubmit={submit}>
      <h2>Admin token</h2>
      <p>
        This installation wants its token. <code>continuity up</code> keeps it in the data folder as{" "}
        <code>keys/admin-token</code>. It is kept for this tab only.
      </p>
      {reason !== null && (
        <p class="warn" role="alert">
          {reason}
        </p>
      )}
      <div class="prompt-row">
        <input
          type="password"
          aria-label="Admin token"
          autocomplete="off"
          value={value}
          onInput={(event) => setValue(event.currentTarget.value)}
        />
        <button type="submit" class="button primary">
          Open
        </button>
      </div>
    </form>
  );
}
