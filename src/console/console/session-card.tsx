import { bytes, duration, milliseconds, rate } from "../shared/format.ts";
import type { Session, Track } from "./api.ts";
import { ConfirmButton } from "./confirm-button.tsx";
import { LatencyGraph, partAge } from "./latency-graph.tsx";
import { useRequest } from "./request.ts";
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
        {running && <Orders session={session} onDenied={onDenied} />}
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

const ORDERS = [
  { what: "kick", word: "Kick", question: "Disconnect it?", title: "its publisher is disconnected; the session waits" },
  { what: "stop", word: "Stop", question: "Really stop?", title: "it ends" },
] as const;

function Orders({ session, onDenied }: { session: Session; onDenied: () => void }) {
  const request = useRequest(onDenied);
  return (
    <>
      {request.error !== null && (
        <span class="warn" role="alert">
          {request.error}
        </span>
      )}
      {ORDERS.filter(({ what }) => what === "stop" || session.state === "live" || session.state === "starting").map(
        ({ what, word, question, title }) => (
          <ConfirmButton
            key={what}
            word={word}
            question={question}
            label={`${word} ${session.channel}: ${title}`}
            onConfirm={() => request.send(`/api/v1/sessions/${encodeURIComponent(session.id)}/${what}`, "POST")}
          />
        ),
      )}
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
