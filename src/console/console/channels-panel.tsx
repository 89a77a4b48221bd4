// The channels: what each makes of what comes in, where that comes in, how it is; and one of them opened for editing.
import { useState } from "preact/hooks";
import type { Channel, Input, Key, Session } from "./api.ts";
import { ChannelForm } from "./channel-form.tsx";
import { ChannelKeys } from "./channel-keys.tsx";
import { inputText, ladderText, stateOfInput } from "./channel-text.ts";
import { StateBadge } from "./state-badge.tsx";

type Open = { channel: string | null; fresh: Key | null };

export function Channels(props: { channels: Channel[]; sessions: Session[]; onDenied: () => void }) {
  const { channels, sessions, onDenied } = props;
  const [open, setOpen] = useState<Open | null>(null);
  const done = (made: { channel: string; key: Key } | null) =>
    setOpen(made === null ? null : { channel: made.channel, fresh: made.key });
  return (
    <section class="panel" aria-labelledby="channels">
      <div class="panel-head">
        <h2 id="channels">Channels</h2>
        <button type="button" class="button" onClick={() => setOpen({ channel: null, fresh: null })}>
          New channel
        </button>
      </div>
      {open !== null && open.channel === null && <ChannelForm channel={null} onDone={done} onDenied={onDenied} />}
      {channels.length === 0 ? (
        <p class="empty">None yet: the first publish makes one.</p>
      ) : (
        <ul class="channels">
          {channels.map((channel) => (
            <li key={channel.name}>
              <ChannelRow
                channel={channel}
                state={stateOf(channel.name, sessions)}
                isOpen={open?.channel === channel.name}
                onToggle={() => setOpen(open?.channel === channel.name ? null : { channel: channel.name, fresh: null })}
              />
              {open?.channel === channel.name && (
                <div class="editor">
                  {channel.readOnly === true ? (
                    <p class="dim">{origin(channel)}: its settings are changed there.</p>
                  ) : (
                    open.fresh === null && <ChannelForm channel={channel} onDone={done} onDenied={onDenied} />
                  )}
                  <ChannelKeys channel={channel} fresh={open.fresh} onDenied={onDenied} />
                </div>
              )}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function ChannelRow(props: { channel: Channel; state: string; isOpen: boolean; onToggle: () => void }) {
  const { channel } = props;
  const watch = `/watch/${encodeURIComponent(channel.name)}`;
  return (
    <div class="channel-row">
      <div class="channel-line">
        <a href={watch}>{channel.name}</a>
        <span class="spacer" />
        <StateBadge state={props.state} />
        <a class="button" href={watch}>
          Watch
        </a>
        <button
          type="button"
          class="button"
          aria-expanded={props.isOpen}
          aria-label={`${channel.readOnly === true ? "Keys" : "Edit"} ${channel.name}`}
          onClick={props.onToggle}
        >
          {channel.readOnly === true ? "Keys" : "Edit"}
        </button>
      </div>
      <div class="channel-facts dim">
        <span>{ladderText(channel.ladder)}</span>
        {channel.rtmpPath ? <span>/{channel.rtmpPath}</span> : null}
        {(channel.inputs ?? []).map((input) => (
          <InputFact key={inputText(input)} input={input} channel={channel} />
        ))}
      </div>
    </div>
  );
}

const LOOKS: Record<string, string> = { connected: "good", failed: "warn", waiting: "warn" };

function InputFact({ input, channel }: { input: Input; channel: Channel }) {
  const state = stateOfInput(input, channel.inputStates ?? []);
  return (
    <span class={`input-fact ${LOOKS[state?.state ?? ""] ?? ""}`} title={state?.detail ?? ""}>
      <span class="figure">{inputText(input)}</span> {state?.state ?? ""}
    </span>
  );
}

function origin({ origin: from }: Channel): string {
  return from === "demo" ? "This channel is built in" : "This channel stands in the configuration file";
}

/** Newest session that is not over; else nothing streams on it. */
function stateOf(channel: string, sessions: Session[]): string {
  const open = sessions.filter((session) => session.channel === channel);
  const running = open.find((session) => !["ended", "failed"].includes(session.state));
  return running?.state ?? "idle";
}
