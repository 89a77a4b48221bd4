// node test/checker/main.ts URL [--reloads 200] [--until-end] [--tolerance MS] [--json]
import { parseArgs } from "node:util";
import { runChecker } from "./checker.ts";
import { RULES } from "./findings.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    reloads: { type: "string", default: "200" },
    tolerance: { type: "string", default: "250" },
    "until-end": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const [url] = positionals;
if (url === undefined) {
  console.error(
    "usage: npm run check:hls -- URL-OF-A-MULTIVARIANT-PLAYLIST [--reloads 200] [--until-end] [--tolerance MS] [--json]",
  );
  process.exit(2);
}
let reloads = 0;
const report = await runChecker({
  url,
  reloads: Number(values.reloads),
  toleranceMs: Number(values.tolerance),
  untilEnd: values["until-end"],
  onReload: () => {
    reloads += 1;
    if (process.stderr.isTTY) process.stderr.write(`\r${reloads} reloads`);
  },
});
if (values.json) console.log(JSON.stringify(report, null, 2));
else {
  for (const { code, count, url: where, detail } of report.findings)
    console.log(`${code} x${count}\n  ${where}\n  ${detail}\n  ${RULES[code]}`);
  console.log(
    `${report.playlists} playlists, ${report.reloads} reloads, ${report.segments} segments in ${report.seconds.toFixed(0)} s: ${report.findings.length} findings`,
  );
}
process.exitCode = report.findings.length > 0 ? 1 : 0;
