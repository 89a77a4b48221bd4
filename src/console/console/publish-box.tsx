// How to publish, as lines to paste. The key is never sent by the server: whoever has it types it in, and it stays in
// this page's memory.
import { useState } from "preact/hooks";
import { CopyButton } from "./clipboard.tsx";

export function PublishBox({ status }: { status: Record<string, unknown> }) {
  const [channel, setChannel] = useState("studio");
  const [key, setKey] = useState("");
  const name = channel || "CHANNEL";
  const secret = key || "KEY";
  const port = rtmpPort(status);
  const host = location.hostname.includes(":") ? `[${location.hostname.replace(/[[\]]/g, "")}]` : location.hostname;
  const server = `rtmp://${host}${port === 1935 ? "" : `:${port}`}/live`;
  const lines = [
    { label: "OBS and other encoders: server", text: server },
    { label: "OBS and other encoders: stream key", text: `${name}?key=${secret}` },
    {
      label: "ffmpeg, RTMP",
      text: `ffmpeg -re -i FILE -c:v libx264 -preset veryfast -tune zerolatency -g 60 -c:a aac -f flv "${server}/${name}?key=${secret}"`,
    },
    {
      label: "ffmpeg, MPEG-TS over HTTP",
      text: `ffmpeg -re -i FILE -c copy -f mpegts -method PUT "${location.origin}/ingest/${name}.mpegts?key=${secret}"`,
    },
    { label: "a file, with this installation's own key", text: `npx continuity publish FILE --channel ${name} --loop` },
  ];
  return (
    <section class="panel" aria-labelledby="publish">
      <h2 id="publish">Publish</h2>
      <form class="fields" onSubmit={(event) => event.preventDefault()}>
        <label>
          Channel
          <input
            value={channel}
            spellcheck={false}
            autocomplete="off"
            onInput={(event) => setChannel(event.currentTarget.value.toLowerCase().replace(/[^a-z0-9_-]/g, ""))}
          />
        </label>
        <label>
          Key
          <input
            value={key}
            type="password"
            autocomplete="off"
            placeholder="printed by continuity up"
            onInput={(event) => setKey(event.currentTarget.value.trim())}
          />
        </label>
      </form>
      {lines.map((line) => (
        <CopyLine key={line.label} {...line} hidden={secret} />
      ))}
    </section>
  );
}

function rtmpPort(status: Record<string, unknown>): number {
  const gateway = status.gateway as { rtmpPort?: unknown } | undefined;
  const port = Number(status.rtmpPort ?? gateway?.rtmpPort ?? 1935);
  return Number.isInteger(port) && port > 0 ? port : 1935;
}

function CopyLine({ label, text, hidden }: { label: string; text: string; hidden: string }) {
  const shown = hidden === "KEY" ? text : text.replaceAll(hidden, "••••••");
  return (
    <div class="copy">
      <span class="copy-label">{label}</span>
      <code>{shown}</code>
      <CopyButton text={text} label={label} />
    </div>
  );
}
