// The watch page: `/watch/CHANNEL`, alone or in somebody's frame. `window.continuity` is for those who embed it and for
// tests: `latencyMs()` and `stats()`.
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "../shared/theme.css";
import "./watch.css";
import { Controls } from "./controls.tsx";
import { Overlay } from "./overlay.tsx";
import { LivePlayer, type Stats } from "./player.ts";

declare global {
  interface Window {
    continuity?: { channel: string; latencyMs(): number | null; stats(): Stats };
  }
}

const IDLE_MS = 3000;

function Watch({ channel }: { channel: string }) {
  const video = useRef<HTMLVideoElement>(null);
  const stage = useRef<HTMLDivElement>(null);
  const [player, setPlayer] = useState<LivePlayer | null>(null);
  const [details, setDetails] = useState(false);
  const [, redraw] = useState(0);
  const idle = useIdle(stage);

  useEffect(() => {
    const created = new LivePlayer(video.current!, channel, () => redraw((count) => count + 1));
    setPlayer(created);
    window.continuity = { channel, latencyMs: () => created.latencyMs(), stats: () => created.stats() };
    document.title = `${channel} · Continuity`;
    return () => created.close();
  }, [channel]);

  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (player === null || event.ctrlKey || event.metaKey || event.altKey) return;
      const onControl = event.target instanceof HTMLElement && event.target.closest("button, select, input") !== null;
      if (onControl && (event.key === " " || event.key === "Enter" || event.key.startsWith("Arrow"))) return;
      const element = video.current!;
      const actions: Record<string, () => void> = {
        " ": () => player.toggle(),
        k: () => player.toggle(),
        m: () => toggleSound(element),
        f: () => void toggleFullscreen(stage.current!),
        l: () => player.goLive(),
        i: () => setDetails((shown) => !shown),
      };
      const action = actions[event.key.toLowerCase()];
      if (action === undefined) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [player]);

  const stats = player?.stats();
  const quiet = idle && stats?.phase === "playing";
  return (
    <div class={quiet ? "stage quiet" : "stage"} ref={stage}>
      <video
        ref={video}
        muted
        playsInline
        autoPlay
        aria-label={`Live video of ${channel}`}
        onDblClick={() => void toggleFullscreen(stage.current!)}
      />
      {player !== null && stats !== undefined && (
        <>
          <Overlay channel={channel} stats={stats} details={details} />
          <Controls
            player={player}
            stats={stats}
            video={video.current!}
            details={details}
            onDetails={() => setDetails(!details)}
            onSound={() => toggleSound(video.current!)}
            onFullscreen={() => void toggleFullscreen(stage.current!)}
          />
        </>
      )}
    </div>
  );
}

function toggleSound(video: HTMLVideoElement): void {
  video.muted = !video.muted;
  if (!video.muted && video.volume === 0) video.volume = 1;
}

/** Phones of one maker can only show the video itself in full screen. */
async function toggleFullscreen(stage: HTMLElement): Promise<void> {
  if (document.fullscreenElement !== null) return document.exitFullscreen();
  if (stage.requestFullscreen) return stage.requestFullscreen().catch(() => {}); // the frame around us does not allow it
  const video = stage.querySelector("video") as (HTMLVideoElement & { webkitEnterFullscreen?: () => void }) | null;
  video?.webkitEnterFullscreen?.();
}

/** True when nobody moved or pressed anything for a while, and nothing of ours has the keyboard. */
function useIdle(stage: { current: HTMLElement | null }): boolean {
  const [idle, setIdle] = useState(false);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const wake = () => {
      setIdle(false);
      clearTimeout(timer);
      timer = setTimeout(() => setIdle(!stage.current?.querySelector(".bar :focus-visible")), IDLE_MS);
    };
    const types = ["pointermove", "pointerdown", "keydown", "focusin"] as const;
    for (const type of types) addEventListener(type, wake);
    wake();
    return () => {
      clearTimeout(timer);
      for (const type of types) removeEventListener(type, wake);
    };
  }, []);
  return idle;
}

const channel = decodeURIComponent(location.pathname.split("/").filter(Boolean)[1] ?? "");
render(<Watch channel={channel} />, document.getElementById("root")!);
