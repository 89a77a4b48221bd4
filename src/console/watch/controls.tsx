import type { JSX } from "preact";
import { seconds } from "../shared/format.ts";
import type { LivePlayer, Stats } from "./player.ts";

/** Further behind the aim than this is not "live" any more. */
const BEHIND_MS = 1500;

type Props = {
  player: LivePlayer;
  stats: Stats;
  video: HTMLVideoElement;
  details: boolean;
  onDetails: () => void;
  onSound: () => void;
  onFullscreen: () => void;
};

export function Controls({ player, stats, video, details, onDetails, onSound, onFullscreen }: Props) {
  const playing = stats.phase === "playing" || stats.phase === "stalled";
  const paused = stats.phase === "paused";
  const onAir = playing && !isBehind(stats);
  const qualities = player.qualities();
  const hidden = stats.verdict?.hidden ?? [];
  const sounds = player.sounds();
  return (
    <>
      {playing && video.muted && (
        <button type="button" class="unmute" onClick={onSound}>
          <Icon path={MUTED} /> Unmute
        </button>
      )}
      <div class="bar" role="toolbar" aria-label="Player">
        <IconButton
          label={paused ? "Play (k)" : "Pause (k)"}
          path={paused ? PLAY : PAUSE}
          onClick={() => player.toggle()}
          disabled={!playing && !paused}
        />
        <IconButton
          label={video.muted ? "Sound on (m)" : "Sound off (m)"}
          path={video.muted ? MUTED : SOUND}
          onClick={onSound}
        />
        <input
          class="volume"
          type="range"
          min="0"
          max="1"
          step="0.05"
          aria-label="Volume"
          value={video.muted ? 0 : video.volume}
          onInput={(event) => {
            video.volume = Number(event.currentTarget.value);
            video.muted = video.volume === 0;
          }}
        />
        <button
          type="button"
          class={onAir ? "live on" : "live"}
          onClick={() => (paused ? player.toggle() : player.goLive())}
          disabled={!playing && !paused}
          aria-label={onAir ? "Live" : "Go to live (l)"}
        >
          <span class="dot" aria-hidden="true" />
          Live
        </button>
        <span class="latency figure" title="Behind the moment of capture, by this machine's clock">
          {seconds(stats.latencyMs)}
        </span>
        <span class="spacer" />
        {sounds.length > 1 && (
          <select
            class="sound"
            aria-label="Audio track"
            value={stats.sound ?? ""}
            onChange={(event) => player.setSound(event.currentTarget.value)}
          >
            {sounds.map(({ id, label }) => (
              <option key={id} value={id}>
                {label}
              </option>
            ))}
          </select>
        )}
        {qualities.length + hidden.length > 1 && (
          <select
            aria-label="Quality"
            value={player.quality()}
            onChange={(event) => player.setQuality(Number(event.currentTarget.value))}
          >
            <option value={-1}>
              {player.quality() === -1 && stats.height > 0 ? `Auto · ${stats.height}p` : "Auto"}
            </option>
            {qualities.map(({ id, label }) => (
              <option key={id} value={id}>
                {label}
              </option>
            ))}
            {hidden.map((label) => (
              <option key={label} disabled>
                {label} (not in this browser)
              </option>
            ))}
          </select>
        )}
        <IconButton label="Figures (i)" path={INFO} onClick={onDetails} pressed={details} />
        <IconButton label="Full screen (f)" path={FULL} onClick={onFullscreen} />
      </div>
    </>
  );
}

function isBehind({ latencyMs, targetLatencyMs, playbackRate }: Stats): boolean {
  if (latencyMs === null || targetLatencyMs === null) return false;
  return latencyMs > targetLatencyMs + BEHIND_MS && playbackRate <= 1;
}

type IconButtonProps = { label: string; path: string; onClick: () => void; disabled?: boolean; pressed?: boolean };

function IconButton({ label, path, onClick, disabled = false, pressed }: IconButtonProps): JSX.Element {
  const state = pressed === undefined ? {} : { "aria-pressed": pressed };
  return (
    <button
      type="button"
      class="icon"
      aria-label={label}
      title={label}
      onClick={onClick}
      disabled={disabled}
      {...state}
    >
      <Icon path={path} />
    </button>
  );
}

function Icon({ path }: { path: string }) {
  return (
    <svg viewBox="0 0 24 24" width="20" height="20" fill="currentColor" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

const PLAY = "M7 4.5v15l13-7.5z";
const PAUSE = "M6 5h4v14H6zM14 5h4v14h-4z";
const SOUND = "M4 9v6h4l5 5V4L8 9zM15.5 8.5v7a4.5 4.5 0 0 0 0-7zM15.5 4.2v2.1a6 6 0 0 1 0 11.4v2.1a8 8 0 0 0 0-15.6z";
const MUTED =
  "M4 9v6h4l5 5V4L8 9zM22 9.4 20.6 8 18.5 10.1 16.4 8 15 9.4 17.1 11.5 15 13.6 16.4 15 18.5 12.9 20.6 15 22 13.6 19.9 11.5z";
const INFO = "M4 19h3v-8H4zM10.5 19h3V5h-3zM17 19h3v-5h-3z";
const FULL = "M4 4h6v2H6v4H4zM14 4h6v6h-2V6h-4zM4 14h2v4h4v2H4zM18 14h2v6h-6v-2h4z";
