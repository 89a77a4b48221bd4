// An encoder on the other end of a network: our own client with media made of numbers.
import type { Clock } from "#base/clock.ts";
import type { Random } from "#base/random.ts";
import { buildAvcConfig } from "#media/codec/avcc.ts";
import { h264Pps, h264Sps } from "#media/codec/testing/parameter-set-writer.ts";
import { audioFrame, audioHeader, metadata, videoFrame, videoHeader } from "#media/flv/write.ts";
import type { AudioTrack, VideoTrack } from "#media/session-log/entries.ts";
import type { Network, TcpConnection } from "#platform/network/network.ts";
import { parseRtmpUrl } from "#protocols/rtmp/address.ts";
import { RtmpClientSession } from "#protocols/rtmp/client.ts";
import { sourceUnits } from "./source.ts";

const AVC_CONFIG = buildAvcConfig([h264Sps({ widthBlocks: 40, heightUnits: 23 })], [h264Pps()]);
const AAC_CONFIG = Buffer.from("1190", "hex");

export class RtmpPublisher {
  readonly connection: TcpConnection;
  readonly client: RtmpClientSession;
  state: "asking" | "ready" | "refused" | "failed" = "asking";
  code = "";
  description = "";
  closed = false;

  static async connect(network: Network, url: string, deps: { clock: Clock; random: Random }): Promise<RtmpPublisher> {
    const address = parseRtmpUrl(url);
    const { host, port } = address;
    return new RtmpPublisher(await network.connectTcp({ host, port, timeoutMs: 1000 }), address, deps);
  }

  private constructor(
    connection: TcpConnection,
    address: ReturnType<typeof parseRtmpUrl>,
    deps: { clock: Clock; random: Random },
  ) {
    this.connection = connection;
    this.client = new RtmpClientSession({
      ...deps,
      address,
      send: (bytes) => connection.write(bytes),
      on: (event) => {
        this.state = event.kind;
        if (event.kind === "refused") {
          this.code = event.code;
          this.description = event.description;
        }
      },
    });
    connection.onData((bytes) => this.client.receive(bytes));
    connection.onClose(() => {
      this.closed = true;
      this.client.peerClosed();
    });
  }

  headers(fps: number | null = 25): void {
    const video = { declaredRate: fps === null ? null : { num: fps, den: 1 }, width: 640, height: 360 } as VideoTrack;
    const audio = { sampleRate: 48_000, channels: 2 } as AudioTrack;
    this.client.sendMedia(18, 0, metadata(video, audio, "test"));
    this.client.sendMedia(9, 0, videoHeader("h264", AVC_CONFIG));
    this.client.sendMedia(8, 0, audioHeader(AAC_CONFIG));
  }

  /** What an encoder sends between two instants of its own time. */
  media(fromSeconds: number, toSeconds: number, keyFrames = true): void {
    for (const { seconds, unit } of sourceUnits({ seconds: toSeconds })) {
      if (seconds < fromSeconds) continue;
      const { track, dtsTicks, ptsTicks, randomAccess, payload } = unit;
      if (track === 1) this.client.sendMedia(8, dtsTicks, audioFrame(payload));
      else if (keyFrames || !randomAccess)
        this.client.sendMedia(9, dtsTicks, videoFrame("h264", payload, randomAccess, ptsTicks - dtsTicks));
    }
  }
}
