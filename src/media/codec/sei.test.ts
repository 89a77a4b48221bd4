import { strict as assert } from "node:assert";
import { test } from "node:test";
import { buildAvcConfig } from "./avcc.ts";
import { readSei } from "./sei.ts";
import { BitWriter, h264Pps, h264Slice, h264Sps } from "./testing/parameter-set-writer.ts";
import { VideoStream } from "./video-stream.ts";

const several = { randomAccessHint: false, single: false };

/** Display orientation. @param degrees anticlockwise, as the message has it */
function orientation(degrees: number, flips = 0, cancel = false): Buffer {
  const out = new BitWriter().u(cancel ? 1 : 0, 1);
  if (!cancel)
    out
      .u(flips, 2)
      .u(Math.round((degrees / 360) * 65_536) & 0xffff, 16)
      .ue(1)
      .u(0, 1);
  return out.nal();
}

const message = (type: number, payload: Buffer) => Buffer.concat([Buffer.of(type, payload.length), payload]);
const sei = (...messages: Buffer[]) => Buffer.concat([Buffer.of(6), ...messages, Buffer.of(0x80)]);

test("orientation becomes quarter turns clockwise", () => {
  const rotation = (payload: Buffer, head: Buffer = Buffer.of(6)) =>
    readSei(Buffer.concat([head, message(47, payload), Buffer.of(0x80)]), head.length as 1 | 2).rotation;
  assert.deepEqual(
    [0, 90, 180, 270, 89, 91].map((degrees) => rotation(orientation(degrees))),
    [0, 270, 180, 90, 270, 270],
  );
  assert.equal(rotation(orientation(0, 3)), 180);
  assert.equal(rotation(orientation(90, 3)), 90);
  assert.equal(rotation(orientation(90, 1)), 270); // mirrored: only the turn can be told
  assert.equal(rotation(orientation(0, 0, true)), 0);
  assert.equal(rotation(orientation(90), Buffer.of(0x4e, 1)), 270); // H.265
  assert.equal(rotation(Buffer.of(0x10)), null); // cut off
  assert.equal(readSei(sei(message(5, Buffer.alloc(20, 1))), 1).rotation, null);
});

test("messages are found behind others; broken ones say nothing", () => {
  const found = readSei(
    sei(message(5, Buffer.alloc(17, 0xff)), message(6, Buffer.of(0x84)), message(147, Buffer.of(18))),
    1,
  );
  assert.deepEqual(found, { recoveryPoint: true, rotation: null, preferredTransfer: 18 });
  assert.equal(readSei(Buffer.of(6, 147, 1), 1).preferredTransfer, null);
});

test("rotation and preferred transfer hold until a new sequence begins without them", () => {
  const stream = new VideoStream(0, "h264");
  stream.configure(buildAvcConfig([h264Sps({ timing: [1, 50] })], [h264Pps()]));
  const told = (...nals: Buffer[]) => {
    const [unit] = stream.units(nals, several);
    return [unit!.trackChanged, stream.track!.rotation, stream.track!.range];
  };
  const turned = sei(message(47, orientation(90)), message(147, Buffer.of(18)));
  assert.deepEqual(told(h264Slice({ idr: true })), [false, 0, "SDR"]);
  assert.deepEqual(told(turned, h264Slice({ idr: true, idrId: 1 })), [true, 270, "HLG"]);
  assert.deepEqual(told(h264Slice({ frameNum: 1 })), [false, 270, "HLG"]);
  assert.deepEqual(told(sei(message(6, Buffer.of(0x84))), h264Slice({ frameNum: 2 })), [false, 270, "HLG"]);
  assert.deepEqual(told(turned, h264Slice({ idr: true })), [false, 270, "HLG"]);
  assert.deepEqual(told(h264Slice({ idr: true, idrId: 1 })), [true, 0, "SDR"]);
  assert.equal(stream.hint({ transfer: 16 }), false); // the stream declares BT.709: a container does not know better
});
