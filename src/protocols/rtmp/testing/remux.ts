// Publish a file's first track by the RTMP of FFmpeg 8, which writes HEVC in enhanced form. A process of its own: a
// publisher like any other, and FFmpeg stays out of the test's process. Usage: node remux.ts FILE URL
import { FormatContext, Packet } from "node-av";

/** @returns the value; a negative one is an error of FFmpeg's */
function good(value: number): number {
  if (value < 0) throw new Error(`FFmpeg says ${value}`);
  return value;
}

const [file, url] = process.argv.slice(2);
const input = new FormatContext();
input.allocContext();
good(await input.openInput(file!, null, null));
good(await input.findStreamInfo(null));
const from = input.streams![0]!;

const output = new FormatContext();
good(output.allocOutputContext2(null, "flv", url!));
const to = output.newStream(null);
good(from.codecpar.copy(to.codecpar));
to.codecpar.codecTag = 0;
good(await output.openOutput());
good(await output.writeHeader(null));

const packet = new Packet();
packet.alloc();
while ((await input.readFrame(packet)) >= 0) {
  packet.rescaleTs(from.timeBase, to.timeBase);
  packet.streamIndex = 0;
  good(await output.interleavedWriteFrame(packet));
  packet.unref();
}
good(await output.writeTrailer());
packet.free();
await input.closeInput();
await output.closeOutput();
output.freeContext();
