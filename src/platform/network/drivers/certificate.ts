// A certificate that is renewed while we run: its files are looked at now and then, and read when they changed.
// Why not fs.watch: a renewal replaces files, or the link to their folder (as Kubernetes does with secrets), and a watch
// stays with the old ones. Why not read on each connection: a renewal that is half done would turn encoders away.
import { readFileSync, statSync } from "node:fs";
import { createSecureContext, type SecureContext } from "node:tls";
import { describe, PlatformError } from "#base/errors.ts";
import type { Certificate } from "../network.ts";

const LOOK_EVERY_MS = 2000;

export type CertificateWatch = Readonly<{
  /** PEM, as it was read at first. */
  cert: Buffer;
  key: Buffer;
  stop(): void;
}>;

/** @param changed gets every pair that was found right after the first
 *  @param refused told once for each change that does not hold a certificate and its key: the old ones stay
 *  @throws PlatformError config.invalid when the first pair is not right */
export function watchCertificate(
  files: Certificate,
  changed: (pair: { cert: Buffer; key: Buffer }) => void,
  refused: (error: PlatformError) => void,
  lookEveryMs = LOOK_EVERY_MS,
): CertificateWatch {
  let seen = stampOf(files);
  const first = readPair(files);
  const timer = setInterval(() => {
    const stamp = stampOf(files);
    if (stamp === seen) return;
    seen = stamp;
    try {
      changed(readPair(files));
    } catch (error) {
      refused(error as PlatformError);
    }
  }, lookEveryMs);
  timer.unref();
  return { ...first, stop: () => clearInterval(timer) };
}

/** @throws PlatformError config.invalid, saying which file and why */
export function readPair(files: Certificate): { cert: Buffer; key: Buffer } {
  const [cert, key] = (["certificate", "key"] as const).map((what) => {
    try {
      return readFileSync(files[what]);
    } catch (cause) {
      throw new PlatformError(
        "config.invalid",
        `The TLS ${what} ${files[what]} cannot be read: ${(cause as Error).message}.`,
        { cause },
      );
    }
  }) as [Buffer, Buffer];
  secureContext(files, cert, key);
  return { cert, key };
}

function secureContext({ certificate, key: keyFile }: Certificate, cert: Buffer, key: Buffer): SecureContext {
  try {
    return createSecureContext({ cert, key });
  } catch (cause) {
    const reason = describe(cause);
    throw new PlatformError(
      "config.invalid",
      `${certificate} and ${keyFile} are no PEM certificate and its key: ${reason}.`,
      { cause },
    );
  }
}

/** Something that is another when a file was written or replaced. */
function stampOf({ certificate, key }: Certificate): string {
  return [certificate, key]
    .map((path) => {
      const found = statSync(path, { bigint: true, throwIfNoEntry: false });
      return found ? `${found.ino}:${found.size}:${found.mtimeNs}` : "none";
    })
    .join(" ");
}
