// One input, a ladder of outputs, in one filter graph.
// Default scaler flags give other pixels on AVX-512 than on AVX2; these do not. No filter with endless memory (hqdn3d and
// its kind) may ever be added: a worker that joins late could not reproduce it.
import { AVCOL_RANGE_JPEG } from "node-av/constants";
import { type FilterContext, FilterGraph, type Frame } from "node-av/lib";
import { assert } from "#base/assert.ts";
import type { Colour } from "#media/codec/vui.ts";
import type { Rotation } from "#media/session-log/entries.ts";
import type { Picture, Scaler, ScalerSettings } from "../../av.ts";
import { check, present, received, Serial } from "./native.ts";
import { emptyFrame, NativePicture, native } from "./picture.ts";
import { toneMap } from "./tone-map.ts";

/** ITU-T H.273. */
const UNSPECIFIED = 2;
const SCALE_FLAGS = "bicubic+accurate_rnd+full_chroma_int+bitexact";

/** The graph with everything that was taken out of it: contexts crash once their graph was collected. */
type Graph = Readonly<{
  graph: FilterGraph;
  source: FilterContext;
  sinks: readonly FilterContext[];
  /** Input ticks per output tick, as the deinterlacer halves the time base. */
  ticksPerTag: number;
  input: Input;
}>;

export async function openScaler(settings: ScalerSettings): Promise<Scaler> {
  assert.ok(settings.outputs.length > 0, "a scaler needs an output");
  return new NativeScaler(settings);
}

class NativeScaler implements Scaler {
  readonly #settings: ScalerSettings;
  readonly #serial = new Serial();
  #graph: Graph | null = null;
  #spare: Frame = emptyFrame();

  constructor(settings: ScalerSettings) {
    this.#settings = settings;
  }

  scale(picture: Picture): Promise<Picture[][]> {
    const frame = native(picture).take();
    return this.#serial.run(async () => {
      try {
        const input = describeInput(frame);
        const before = this.#graph !== null && this.#graph.input.text !== input.text ? await this.#finish() : [];
        this.#graph ??= await buildGraph(this.#settings, input);
        frame.pts = BigInt(picture.tag);
        check(await this.#graph.source.buffersrcAddFrame(frame), "give a picture to the scaler");
        return [...before, ...(await this.#collect(this.#graph))];
      } finally {
        frame.free();
      }
    });
  }

  drain(): Promise<Picture[][]> {
    return this.#serial.run(() => this.#finish());
  }

  close(): Promise<void> {
    return this.#serial.close(() => {
      this.#graph?.graph.free();
      this.#graph = null;
      this.#spare.free();
    });
  }

  async #finish(): Promise<Picture[][]> {
    const graph = this.#graph;
    if (graph === null) return [];
    check(await graph.source.buffersrcAddFrame(null), "drain the scaler");
    const sets = await this.#collect(graph);
    this.#graph = null;
    graph.graph.free();
    return sets;
  }

  /** Sinks one after the other (in parallel, pictures vanish without an error). The first says how many sets there are. */
  async #collect({ sinks, ticksPerTag }: Graph): Promise<Picture[][]> {
    const [first, ...others] = sinks;
    const sets: Picture[][] = [];
    for (;;) {
      const picture = await this.#fetch(first!, ticksPerTag);
      if (picture === null) break;
      sets.push([picture]);
    }
    for (const sink of others)
      for (const set of sets) {
        const picture = await this.#fetch(sink, ticksPerTag);
        assert.ok(picture !== null && picture.tag === set[0]!.tag, "every output gets every picture");
        set.push(picture);
      }
    return sets;
  }

  async #fetch(sink: FilterContext, ticksPerTag: number): Promise<Picture | null> {
    if (!received(await sink.buffersinkGetFrame(this.#spare), "scale")) return null;
    const frame = this.#spare;
    this.#spare = emptyFrame();
    return new NativePicture(frame, Number(frame.pts) / ticksPerTag);
  }
}

async function buildGraph(settings: ScalerSettings, input: Input): Promise<Graph> {
  const graph = new FilterGraph();
  graph.alloc();
  try {
    graph.nbThreads = 1;
    check(graph.parsePtr(graphText(settings, input)), "build the scaler");
    check(await graph.config(), "configure the scaler");
    const source = present(graph.getFilter("buffer@in"), "filter buffer");
    const sinks = settings.outputs.map((_, i) => present(graph.getFilter(`buffersink@o${i}`), "filter buffersink"));
    const timeBase = sinks[0]!.buffersinkGetTimeBase();
    return { graph, source, sinks, ticksPerTag: timeBase.den / timeBase.num, input };
  } catch (error) {
    graph.free();
    throw error;
  }
}

type Output = ScalerSettings["outputs"][number];

/** Pictures are turned last, when they are small, 8-bit and 4:2:0: the turning filter takes no other 4:2:2. */
const TURNS: Readonly<Record<Rotation, string>> = {
  0: "",
  90: "transpose=clock,",
  180: "hflip,vflip,",
  270: "transpose=cclock,",
};

function graphText(settings: ScalerSettings, input: Input): string {
  const { deinterlace, outputs, rotation = 0, range = "SDR", colour } = settings;
  const legs = outputs.map((output, i) => {
    const { num, den } = output.pixelAspect;
    const to = `out_range=tv${range === "SDR" ? matrixChange(input, colour) : MAPPED}`;
    return (
      `[s${i}]${scaleTo(output, rotation)}:${to},format=yuv420p,${TURNS[rotation]}` +
      `${range === "SDR" ? "" : TAGGED}setsar=${num}/${den},buffersink@o${i}`
    );
  });
  const steps = [`buffer@in=${input.text}:time_base=1/1`];
  if (deinterlace) steps.push("bwdif=mode=send_frame:parity=auto:deint=interlaced");
  // At the size of the largest output, once for all: it costs as much as all the scaling.
  if (range !== "SDR") steps.push(toneMap(range, scaleTo(largest(outputs), rotation)));
  steps.push(`split=${outputs.length}${outputs.map((_, i) => `[s${i}]`).join("")}`);
  return [steps.join(","), ...legs].join(";");
}

function scaleTo({ width, height }: Output, rotation: Rotation): string {
  const [across, down] = rotation === 90 || rotation === 270 ? [height, width] : [width, height];
  return `scale=${across}:${down}:flags=${SCALE_FLAGS}`;
}

function largest(outputs: readonly Output[]): Output {
  return outputs.reduce((a, b) => (b.width * b.height > a.width * a.height ? b : a));
}

/** Codes of ITU-T H.273 under the library's names; a matrix without one here is left as it is. */
const MATRICES: Readonly<Record<number, string>> = { 1: "bt709", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020" };

/** What a scaler must be told to give the output's matrix; nothing where input and output have the same, or one is not
 *  known. */
function matrixChange(input: Input, colour: Colour | undefined): string {
  const to = MATRICES[colour?.matrix ?? UNSPECIFIED];
  if (to === undefined) return "";
  const from = MATRICES[input.matrix];
  return from === undefined || from === to ? "" : `:in_color_matrix=${from}:out_color_matrix=${to}`;
}

/** The tone map gives RGB of BT.709, and knows nothing of what its values are called. */
const MAPPED = ":out_color_matrix=bt709";
const TAGGED = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv,";

/** All that a graph is built for. A picture that differs in any of it needs another graph. */
type Input = Readonly<{ text: string; matrix: number }>;

function describeInput(frame: Frame): Input {
  const { num, den } = frame.sampleAspectRatio;
  const aspect = num > 0 && den > 0 ? `${num}/${den}` : "1/1";
  const range = frame.colorRange === AVCOL_RANGE_JPEG ? "pc" : "tv";
  const size = `video_size=${frame.width}x${frame.height}:pix_fmt=${frame.format}:pixel_aspect=${aspect}`;
  return {
    text: `${size}:colorspace=${frame.colorSpace}:range=${range}`,
    matrix: frame.colorSpace,
  };
}
