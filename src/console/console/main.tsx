import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "../shared/theme.css";
import "./console.css";
import { EMPTY } from "./api.ts";
import { Channels } from "./channels-panel.tsx";
import { type Feed, type Link, openFeed } from "./feed.ts";
import { PublishBox } from "./publish-box.tsx";
import { SessionCard } from "./session-card.tsx";
import { Refusals, Workers } from "./tables.tsx";
import { TokenPrompt } from "./token-prompt.tsx";

const ENDED_SHOWN_MAX = 5;
const WORDS: Record<Link, string> = {
  connecting: "Connecting",
  live: "Connected",
  lost: "Disconnected",
  unauthorized: "Token needed",
};

function Console() {
  const [feed, setFeed] = useState<Feed>({
    link: "connecting",
    reason: null,
    state: EMPTY,
    notes: [],
    updatedAt: null,
  });
  const [denied, setDenied] = useState(false);
  const control = useRef<ReturnType<typeof openFeed> | null>(null);
  const now = useNow();

  useEffect(() => {
    control.current = openFeed(setFeed);
    return () => control.current?.stop();
  }, []);

  const authorized = () => {
    setDenied(false);
    control.current?.retry();
  };
  const { state, link } = feed;
  return (
    <div class={link === "lost" ? "page stale" : "page"}>
      <header class="top">
        <h1>Continuity</h1>
        <span class={`link ${link}`} role="status">
          <span class="dot" aria-hidden="true" />
          {WORDS[link]}
        </span>
      </header>
      {link === "lost" && (
        <div class="banner" role="alert">
          {feed.reason} What you see is from {feed.updatedAt ? new Date(feed.updatedAt).toLocaleTimeString() : "before"}
          ; trying again.
        </div>
      )}
      {link === "unauthorized" || denied ? (
        <TokenPrompt reason={feed.reason} onDone={authorized} />
      ) : (
        <Content feed={feed} now={now} onDenied={() => setDenied(true)} loaded={state !== EMPTY} />
      )}
    </div>
  );
}

function Content(props: { feed: Feed; now: number; onDenied: () => void; loaded: boolean }) {
  const { state, notes } = props.feed;
  const running = state.sessions.filter((session) => !["ended", "failed"].includes(session.state));
  const over = state.sessions
    .filter((session) => ["ended", "failed"].includes(session.state))
    .slice(0, ENDED_SHOWN_MAX);
  return (
    <main class="columns">
      <div class="column">
        <section aria-labelledby="sessions">
          <h2 id="sessions">On air</h2>
          {running.length === 0 && (
            <p class="panel empty">
              {props.loaded ? "Nothing streams. Point an encoder here, or open the demo channel." : "Loading."}
            </p>
          )}
          {running.map((session) => (
            <SessionCard key={session.id} session={session} now={props.now} onDenied={props.onDenied} />
          ))}
        </section>
        {over.length > 0 && (
          <section aria-labelledby="over">
            <h2 id="over">Lately</h2>
            {over.map((session) => (
              <SessionCard key={session.id} session={session} now={props.now} onDenied={props.onDenied} />
            ))}
          </section>
        )}
      </div>
      <div class="column">
        <Channels channels={state.channels} sessions={state.sessions} onDenied={props.onDenied} />
        <PublishBox status={state.status} />
        <Workers workers={state.workers} sessions={state.sessions} />
        <Refusals refusals={state.refusals} />
        {notes.length > 0 && (
          <section class="panel" aria-labelledby="events">
            <h2 id="events">Events</h2>
            <ul class="notes">
              {notes.slice(0, 12).map((note) => (
                <li key={`${note.at} ${note.kind} ${note.text}`}>
                  <span class="figure dim">{new Date(note.at).toLocaleTimeString()}</span> <strong>{note.kind}</strong>{" "}
                  <span class="dim">{note.text}</span>
                </li>
              ))}
            </ul>
          </section>
        )}
      </div>
    </main>
  );
}

/** A second hand for everything that says how long ago. */
function useNow(): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

render(<Console />, document.getElementById("root")!);
