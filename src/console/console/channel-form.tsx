// A channel in a form: made, changed, removed. What is sent holds the revision that the form was opened with, so that of
// two people who edit one channel the second is told, and nothing is lost.
import { useState } from "preact/hooks";
import type { Channel, Key } from "./api.ts";
import { inputsFrom, inputText, rungsFrom, rungsText } from "./channel-text.ts";
import { ConfirmButton } from "./confirm-button.tsx";
import { useRequest } from "./request.ts";

type Fields = Record<string, string>;

const NUMBERS: [field: string, label: string, hint: string][] = [
  ["segmentSeconds", "Segment, s", "2"],
  ["partSeconds", "Part, s", "0.334"],
  ["windowSegments", "Segments listed", "30"],
  ["lossGraceSeconds", "Grace after a loss, s", "30"],
  ["endGraceSeconds", "Grace after an end, s", "3"],
  ["gopSeconds", "Key frame distance, s", "any"],
];
const LIMITS: [field: string, label: string][] = [
  ["bitrateKbps", "At most kbit/s"],
  ["height", "At most lines"],
  ["durationSeconds", "At most seconds"],
];
/** Empty means none, not the default. */
const NULLABLE = ["gopSeconds", "rtmpPath"];

function fieldsOf(channel: Channel | null): Fields {
  const ladder = channel?.ladder ?? "auto";
  const text = (value: unknown) => (value === null || value === undefined ? "" : String(value));
  return {
    name: channel?.name ?? "",
    ladder: Array.isArray(ladder) ? "list" : ladder,
    rungs: Array.isArray(ladder) ? rungsText(ladder) : "720:3500, 360",
    copyFallback: channel?.copyFallback ?? "refuse",
    rtmpPath: text(channel?.rtmpPath),
    inputs: (channel?.inputs ?? []).map(inputText).join("\n"),
    ...Object.fromEntries(NUMBERS.map(([field]) => [field, text(channel?.[field as keyof Channel])])),
    ...Object.fromEntries(LIMITS.map(([field]) => [field, text(channel?.limits?.[field as "height"])])),
  };
}

/** A number as one; else the text as it is, so that the server names it. */
const number = (text: string): unknown => (/^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text);

/** @throws Error for a form that cannot be read */
function bodyOf(fields: Fields, known: Channel | null): Record<string, unknown> {
  const given = (field: string) => fields[field]!.trim() !== "" || NULLABLE.includes(field);
  const value = (field: string) => (fields[field]!.trim() === "" ? null : number(fields[field]!));
  return {
    ladder: fields.ladder === "list" ? rungsFrom(fields.rungs!) : fields.ladder,
    copyFallback: fields.copyFallback,
    rtmpPath: fields.rtmpPath!.trim() === "" ? null : fields.rtmpPath!.trim(),
    inputs: inputsFrom(fields.inputs!, known?.inputs ?? []),
    ...Object.fromEntries(NUMBERS.filter(([field]) => given(field)).map(([field]) => [field, value(field)])),
    limits: Object.fromEntries(LIMITS.map(([field]) => [field, value(field)])),
  };
}

export function ChannelForm(props: {
  /** null: a new one. */
  channel: Channel | null;
  onDone: (made: { channel: string; key: Key } | null) => void;
  onDenied: () => void;
}) {
  const [opened] = useState(props.channel);
  const [fields, setFields] = useState(() => fieldsOf(props.channel));
  const request = useRequest(props.onDenied);
  // Keys are changed beside this form and are no part of it: while the settings are those that were opened, the newest
  // revision is as good.
  const stale = opened !== null && settingsText(props.channel) !== settingsText(opened);
  const revision = stale ? opened.revision : props.channel?.revision;
  const set = (field: string) => (event: { currentTarget: { value: string } }) =>
    setFields({ ...fields, [field]: event.currentTarget.value });
  const text = (field: string, label: string, placeholder = "") => (
    <label key={field}>
      {label}
      <input value={fields[field]!} placeholder={placeholder} autocomplete="off" onInput={set(field)} />
    </label>
  );

  const save = async (event: Event) => {
    event.preventDefault();
    let body: Record<string, unknown>;
    try {
      body = bodyOf(fields, opened);
    } catch (error) {
      return request.fail((error as Error).message);
    }
    const made =
      opened === null
        ? await request.send<Channel>("/api/v1/channels", "POST", { name: fields.name!.trim(), ...body })
        : await request.send<Channel>(pathOf(opened), "PATCH", body, revision);
    if (made === null) return;
    const key = made.keys?.find((candidate) => candidate.key !== undefined);
    props.onDone(key ? { channel: made.name, key } : null);
  };
  const remove = async () => {
    if ((await request.send(pathOf(opened!), "DELETE", undefined, revision)) !== null) props.onDone(null);
  };

  return (
    <form class="channel-form" onSubmit={save} aria-label={opened ? `Settings of ${opened.name}` : "New channel"}>
      {stale && (
        <p class="warn" role="alert">
          Somebody changed this channel meanwhile: close this and open it again to see it as it is.
        </p>
      )}
      <div class="fields">
        {opened === null && text("name", "Name", "a-z, 0-9, - and _")}
        <label>
          Ladder
          <select value={fields.ladder!} onChange={set("ladder")}>
            <option value="auto">automatic</option>
            <option value="passthrough">passthrough: as it comes</option>
            <option value="list">these rungs</option>
          </select>
        </label>
        {fields.ladder === "list" && text("rungs", "Rungs", "copy, 720:3500, 360")}
        {(fields.ladder === "passthrough" || /\bcopy\b/.test(fields.ladder === "list" ? fields.rungs! : "")) && (
          <label>
            What cannot be passed through
            <select value={fields.copyFallback!} onChange={set("copyFallback")}>
              <option value="refuse">is refused</option>
              <option value="transcode">is encoded</option>
            </select>
          </label>
        )}
      </div>
      <div class="fields thirds">{NUMBERS.map(([field, label, hint]) => text(field, label, hint))}</div>
      <div class="fields thirds">{LIMITS.map(([field, label]) => text(field, label, "no limit"))}</div>
      <div class="fields">
        {text("rtmpPath", "RTMP address of its own", "APP/NAME")}
        <label>
          Inputs of its own, one a line
          <textarea
            rows={3}
            spellcheck={false}
            placeholder={"udp:239.0.0.1@5000\ntcp:5001\nrtsp://camera/one on demand"}
            value={fields.inputs!}
            onInput={set("inputs")}
          />
        </label>
      </div>
      {request.error !== null && (
        <p class="warn" role="alert">
          {request.error}
        </p>
      )}
      <div class="form-foot">
        <button type="submit" class="button primary" disabled={request.busy}>
          {opened === null ? "Make channel" : "Save"}
        </button>
        <button type="button" class="button" onClick={() => props.onDone(null)}>
          Close
        </button>
        <span class="spacer" />
        {opened !== null && <ConfirmButton word="Delete" question="Really delete?" onConfirm={remove} />}
      </div>
      {opened !== null && (
        <p class="dim note">A running session keeps what it began with; the next one has these settings.</p>
      )}
    </form>
  );
}

function settingsText(channel: Channel | null): string {
  const { keys: _, revision: __, inputStates: ___, ...settings } = channel ?? { name: "" };
  return JSON.stringify(settings);
}

const pathOf = ({ name }: Channel) => `/api/v1/channels/${encodeURIComponent(name)}`;
