// A certificate of one's own, for a test: made by openssl in the test's folder.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export type TestCertificate = Readonly<{ certificate: string; key: string; authority: string }>;

/** @param name of the files; another one is another certificate */
export function makeCertificate(folder: string, name = "own"): TestCertificate {
  const [certificate, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  const made = spawnSync(
    "openssl",
    // biome-ignore format: a command line
    ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
      "-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
      "-keyout", key, "-out", certificate],
    { encoding: "utf8" },
  );
  assert.equal(made.status, 0, made.stderr);
  return { certificate, key, authority: readFileSync(certificate, "utf8") };
}
