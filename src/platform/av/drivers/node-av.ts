// FFmpeg 8.1 through node-av's low-level API: the only files that name the package are in this driver. It is a GPL build
// of 100 MB, so only worker processes load it.
import { getFFmpegInfo } from "node-av/lib";
import type { Av } from "../av.ts";
import { openAudioEncoder, openResampler } from "./node-av/audio.ts";
import { openAudioDecoder } from "./node-av/audio-decoder.ts";
import { pictureOfPlanes } from "./node-av/picture.ts";
import { openScaler } from "./node-av/scaler.ts";
import { openVideoDecoder } from "./node-av/video-decoder.ts";
import { openVideoEncoder } from "./node-av/video-encoder.ts";

export function nodeAv(): Av {
  return {
    build: `ffmpeg ${getFFmpegInfo().version}`,
    picture: pictureOfPlanes,
    openVideoDecoder,
    openScaler,
    openVideoEncoder,
    openAudioDecoder,
    openResampler,
    openAudioEncoder,
  };
}
