import { useState } from "preact/hooks";
import { bytes, duration, milliseconds, rate } from "../shared/format.ts";
import { ApiError, ask, type Session, type Track } from "./api.ts";
import { LatencyGraph, partAge } from "./latency-graph.tsx";
import { StateBadge } from "./state-badge.tsx";

/** Counters that are worth a word only when they are not zero. */
const TROUBLES: Record<string, string> = {
  damagedUnits: "damaged",
  droppedUnits: "dropped",
  continuityErrors: "continuity errors",
  holes: "holes",
  readersCut: "readers cut",
};

export function SessionCard({ session, now, onDenied }: { session: Session; now: number; onDenied: () => void }) {
  const running = !["ended", "failed"].includes(session.state);
  return (
    <article class="card" aria-label={`Session of ${session.channel}`}>
      <header class="card-head">
        <h3>
          <a href={`/watch/${encodeURIComponent(session.channel)}`}>{session.channel}</a>
        </h3>
        <StateBadge state={session.state} />
        <span class="spacer" />
        {running && <StopButton session={session} onDenied={onDenied} />}
      </header>
      <dl class="facts">
        <Fact name="Input" value={inputText(session)} />
        <Fact name="From" value={`${(session.protocol ?? "–").toUpperCase()} · ${session.remote ?? "–"}`} />
        <Fact name="Since" value={since(session, now)} />
        <Fact name="Part age" value={milliseconds(partAge(session))} strong />
      </dl>
      {running && <LatencyGraph session={session} />}
      <Renditions session={session} />
      <footer class="card-foot figure">
        <span>{session.id}</span>
        {(session.workers ?? []).map((worker) => (
          <span key={worker.id}>
            worker {worker.phase}
            {worker.pid ? ` · pid ${worker.pid}` : ""}
          </span>
        ))}
        {session.counters?.bytesIn !== undefined && <span>{bytes(session.counters.bytesIn)} in</span>}
        {Object.entries(TROUBLES).map(([key, word]) =>
          session.counters?.[key] ? (
            <span key={key} class="warn">
              {session.counters[key]} {word}
            </span>
          ) : null,
        )}
      </footer>
    </article>
  );
}

function Fact({ name, value, strong = false }: { name: string; value: string; strong?: boolean }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={strong ? "figure strong" : "figure"}>{value}</dd>
    </div>
  );
}

function Renditions({ session }: { session: Session }) {
  const renditions = session.renditions ?? [];
  if (renditions.length === 0) return null;
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>Rendition</th>
            <th class="right">Part age</th>
            <th class="right">Parts</th>
            <th class="right">Segments</th>
            <th class="right">Gaps</th>
          </tr>
        </thead>
        <tbody>
          {renditions.map((rendition) => (
            <tr key={rendition.name}>
              <td>{rendition.name}</td>
              <td class="right figure">{milliseconds(rendition.partAgeMs)}</td>
              <td class="right figure">{rendition.parts}</td>
              <td class="right figure">{rendition.segments}</td>
              <td class={rendition.gaps ? "right figure warn" : "right figure"}>{rendition.gaps ?? 0}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The first press asks, the second does it: a stopped session is off the air. */
function StopButton({ session, onDenied }: { session: Session; onDenied: () => void }) {
  const [asked, setAsked] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const stop = async () => {
    if (!asked) return setAsked(true);
    setAsked(false);
    try {
      await ask(`/api/v1/sessions/${encodeURIComponent(session.id)}/stop`, "POST");
      setError(null);
    } catch (failure) {
      if (failure instanceof ApiError && failure.status === 401) onDenied();
      else setError(failure instanceof Error ? failure.message : String(failure));
    }
  };
  return (
    <>
      {error !== null && (
        <span class="warn" role="alert">
          {error}
        </span>
      )}
      <button type="button" class={asked ? "button danger" : "button"} onClick={stop} onBlur={() => setAsked(false)}>
        {asked ? "Really stop?" : "Stop"}
      </button>
    </>
  );
}

function inputText({ tracks = [], rate: frames }: Session): string {
  const text = tracks.map(trackText).join(" + ");
  return `${text || "–"}${frames ? ` · ${rate(frames)} fps` : ""}`;
}

function trackText(track: Track): string {
  const codec = { h264: "H.264", hevc: "HEVC", aac: "AAC" }[track.codec] ?? track.codec;
  if (track.kind === "video") return track.width ? `${codec} ${track.width}×${track.height}` : codec;
  return track.sampleRate ? `${codec} ${track.sampleRate / 1000} kHz` : codec;
}

function since(session: Session, now: number): string {
  const at = session.startedAt === undefined ? Number.NaN : Date.parse(session.startedAt);
  return Number.isNaN(at) ? "–" : duration(now - at);
}
