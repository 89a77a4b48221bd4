// Keys of a channel. A text that was made is here until it is put away or the page is left; no server tells it again.
import { useState } from "preact/hooks";
import type { Channel, Key } from "./api.ts";
import { CopyButton } from "./clipboard.tsx";
import { ConfirmButton } from "./confirm-button.tsx";
import { useRequest } from "./request.ts";

const DAYS: Record<string, number | null> = { never: null, "in a day": 1, "in 30 days": 30, "in a year": 365 };
const DAY_MS = 86_400_000;

export function ChannelKeys(props: { channel: Channel; fresh: Key | null; onDenied: () => void }) {
  const { channel } = props;
  const request = useRequest(props.onDenied);
  const [made, setMade] = useState<Key | null>(props.fresh);
  const [name, setName] = useState("");
  const [expires, setExpires] = useState("never");
  const path = `/api/v1/channels/${encodeURIComponent(channel.name)}/keys`;
  const at = (key: Key) => `${path}/${encodeURIComponent(key.name)}`;

  const add = async (event: Event) => {
    event.preventDefault();
    const days = DAYS[expires] ?? null;
    const expiresAt = days === null ? null : new Date(Date.now() + days * DAY_MS).toISOString();
    const key = await request.send<Key>(path, "POST", { name, expiresAt });
    if (key === null) return;
    setMade(key);
    setName("");
  };
  const rotate = async (key: Key) => setMade((await request.send<Key>(`${at(key)}/rotate`, "POST", {})) ?? made);
  const revoke = async (key: Key) => {
    if ((await request.send(at(key), "DELETE")) !== null && made?.name === key.name) setMade(null);
  };
  const keys = channel.keys ?? [];
  return (
    <section aria-label={`Keys of ${channel.name}`}>
      <h4>Keys</h4>
      {made?.key !== undefined && (
        <div class="fresh" role="status">
          <span>
            Key <strong>{made.name}</strong>: copy it now, it is not shown again.
            {made.previousUntil ? ` The old one is good until ${when(made.previousUntil)}.` : ""}
          </span>
          <div class="copy">
            <code>{made.key}</code>
            <CopyButton text={made.key} label={`key ${made.name}`} />
          </div>
          <button type="button" class="button" onClick={() => setMade(null)}>
            I have it
          </button>
        </div>
      )}
      {keys.length === 0 ? (
        <p class="empty">None of its own: the installation's publish key opens it.</p>
      ) : (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>Key</th>
                <th>Last used</th>
                <th>Expires</th>
                <th />
              </tr>
            </thead>
            <tbody>
              {keys.map((key) => (
                <tr key={key.name}>
                  <td>{key.name}</td>
                  <td class="dim">{when(key.lastUsedAt)}</td>
                  <td class="dim">{when(key.expiresAt)}</td>
                  <td class="right row-actions">
                    {channel.readOnly !== true && (
                      <>
                        <ConfirmButton
                          word="Rotate"
                          question="Make a new one?"
                          label={`Rotate key ${key.name}`}
                          onConfirm={() => rotate(key)}
                        />
                        <ConfirmButton
                          word="Revoke"
                          question="Really revoke?"
                          label={`Revoke key ${key.name}`}
                          onConfirm={() => revoke(key)}
                        />
                      </>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {request.error !== null && (
        <p class="warn" role="alert">
          {request.error}
        </p>
      )}
      {channel.readOnly !== true && (
        <form class="add-key" onSubmit={add}>
          <input
            aria-label="Name of a new key"
            placeholder="name of a new key"
            value={name}
            autocomplete="off"
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <select
            aria-label="When the new key expires"
            value={expires}
            onChange={(event) => setExpires(event.currentTarget.value)}
          >
            {Object.keys(DAYS).map((word) => (
              <option key={word} value={word}>
                expires {word}
              </option>
            ))}
          </select>
          <button type="submit" class="button" disabled={request.busy || name.trim() === ""}>
            Add key
          </button>
        </form>
      )}
    </section>
  );
}

function when(instant: string | null | undefined): string {
  if (instant === null || instant === undefined) return "never";
  const date = new Date(instant);
  return Number.isNaN(date.getTime())
    ? instant
    : date.toLocaleString([], { dateStyle: "short", timeStyle: "short", hour12: false });
}
