import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { PlatformError } from "#base/errors.ts";
import { hashKey } from "#control/channel-keys.ts";
import { type ConfigSources, readConfig } from "./config.ts";
import { fileLayer } from "./config-sources.ts";

type Given = { file?: string; environment?: Record<string, string>; options?: ConfigSources["options"] };

function inFolder<T>(body: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "continuity-config-"));
  try {
    return body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function read({ file, environment = {}, options = {} }: Given = {}) {
  return inFolder((folder) => {
    if (file !== undefined) writeFileSync(join(folder, "continuity.yaml"), file);
    return { ...readConfig({ options, environment, folder }), folder };
  });
}

/** The message's lines, the folder left out. */
function mistakes(given: Given): string[] {
  return inFolder((folder) => {
    if (given.file !== undefined) writeFileSync(join(folder, "continuity.yaml"), given.file);
    try {
      readConfig({ options: given.options ?? {}, environment: given.environment ?? {}, folder });
    } catch (error) {
      assert.ok(error instanceof PlatformError && error.code === "config.invalid", String(error));
      return error.message.replaceAll(`${folder}/`, "").split("\n");
    }
    return assert.fail("nothing was found wrong");
  });
}

test("without anything, the defaults; the value is frozen all the way down", () => {
  const { config, secrets, folder } = read();
  assert.deepEqual(config, {
    host: "127.0.0.1",
    port: 8080,
    rtmpPort: 1935,
    tls: null,
    data: join(folder, ".continuity"),
    roles: ["gateway", "origin", "control"],
    autoCreate: true,
    warm: { min: 1 },
    logLevel: "info",
    publicHosts: [],
    gatewayUrl: null,
    controlUrl: null,
    originUrls: [],
    demo: true,
    hooks: { publish: null, events: [] },
    channels: [],
    file: null,
  });
  assert.deepEqual(secrets, { adminToken: null, publishKey: null, clusterSecret: null });
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.warm) && Object.isFrozen(config.channels));
});

test("file, then environment, then options: the later wins, the others stay", () => {
  const { config } = read({
    file: "port: 1\nrtmpPort: 2\nwarm: { min: 3 }\nlogLevel: warn\n",
    environment: {
      CONTINUITY_RTMP_PORT: "20",
      CONTINUITY_LOG_LEVEL: "error",
      CONTINUITY_DEMO: "false",
      CONTINUITY_GATEWAY_URL: "http://10.0.0.1:1",
      CONTINUITY_CLUSTER_SECRET: "0123456789abcdef0123456789abcdef",
    },
    options: { logLevel: "debug", roles: "origin, control", host: "localhost" },
  });
  assert.deepEqual(
    [config.port, config.rtmpPort, config.warm.min, config.logLevel, config.demo, config.roles, config.host],
    [1, 20, 3, "debug", false, ["origin", "control"], "localhost"],
  );
});

test("each key has a variable", () => {
  const { config, secrets } = read({
    environment: {
      CONTINUITY_HOST: "0.0.0.0",
      CONTINUITY_PORT: "0",
      CONTINUITY_DATA: "/srv/data",
      CONTINUITY_HTTPS_PORT: "8444",
      CONTINUITY_TLS_CERTIFICATE: "/c.pem",
      CONTINUITY_TLS_KEY: "/k.pem",
      CONTINUITY_ROLES: "gateway",
      CONTINUITY_AUTO_CREATE: "0",
      CONTINUITY_WARM_MIN: "0",
      CONTINUITY_PUBLIC_HOSTS: "live.example.org,other.example.org:8443",
      CONTINUITY_GATEWAY_URL: "http://10.0.0.1:1",
      CONTINUITY_CONTROL_URL: "http://10.0.0.2:2",
      CONTINUITY_ORIGIN_URLS: "http://10.0.0.3:3,https://o.example.org",
      CONTINUITY_CHANNELS: '[{"name":"news","keys":[{"name":"a","key":"secret-1"}]}]',
      CONTINUITY_ADMIN_TOKEN: "an-admin-token-of-some-length",
      CONTINUITY_PUBLISH_KEY: "a-publish-key",
      CONTINUITY_CLUSTER_SECRET: "0123456789abcdef0123456789abcdef",
      CONTINUITY_URL: "http://read.elsewhere",
      PATH: "/bin",
    },
  });
  assert.deepEqual([config.autoCreate, config.warm.min, config.data], [false, 0, "/srv/data"]);
  assert.deepEqual(config.publicHosts, ["live.example.org", "other.example.org:8443"]);
  assert.deepEqual(config.originUrls, ["http://10.0.0.3:3", "https://o.example.org"]);
  assert.equal(config.channels[0]!.channel.name, "news");
  assert.equal(secrets.publishKey, "a-publish-key");
});

test("channels get their defaults, and their keys are held as hashes", () => {
  const { config } = read({
    file: "channels:\n  - name: news\n    partSeconds: 0.2\n    ladder: [{height: 720}]\n    keys: [{name: van, key: k-123456}]\n",
  });
  const [{ channel, keys }] = config.channels as [(typeof config.channels)[0]];
  assert.deepEqual(
    [channel.partSeconds, channel.segmentSeconds, channel.origin, channel.tenant],
    [0.2, 2, "file", "main"],
  );
  assert.deepEqual(keys, [{ name: "van", sha256: hashKey("k-123456") }]);
  assert.ok(!JSON.stringify(config).includes("k-123456"));
});

test("every mistake at once, each with its line and what is allowed", () => {
  const file = [
    "port: 80800",
    "rtmp_port: 1935",
    "warm:",
    "  mim: 2",
    "logLevel: loud",
    "channels:",
    "  - name: News",
    "    partSeconds: 0.1",
    "    ladder:",
    "      - hight: 720",
    "  - nmae: b",
    "    keys: [{name: x, key: 12345678}]",
    "demo: maybe",
  ].join("\n");
  assert.deepEqual(
    mistakes({ file, environment: { CONTINUITY_WARM_MAX: "1", CONTINUITY_PORTS: "1" } }).toSorted(),
    [
      "CONTINUITY_PORTS: is not known; did you mean CONTINUITY_PORT?",
      "CONTINUITY_WARM_MAX: is not known; did you mean CONTINUITY_WARM_MIN?",
      "continuity.yaml:10: channels[0].ladder[0].height is missing: a whole number from 64 to 4320",
      "continuity.yaml:10: channels[0].ladder[0].hight is not known; did you mean height?",
      "continuity.yaml:11: channels[1].name is missing: 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit",
      "continuity.yaml:11: channels[1].nmae is not known; did you mean name?",
      "continuity.yaml:12: channels[1].keys[0].key must be 6 to 200 of A-Z, a-z, 0-9, and _ ~ . - (it travels in URLs)",
      "continuity.yaml:13: demo must be true or false",
      "continuity.yaml:1: port must be a whole number from 0 to 65535",
      "continuity.yaml:2: rtmp_port is not known; did you mean rtmpPort?",
      "continuity.yaml:4: warm.mim is not known; did you mean min?",
      "continuity.yaml:5: logLevel must be debug, info, warn, error or silent",
      "continuity.yaml:7: channels[0].name must be 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit",
      "continuity.yaml:8: channels[0].partSeconds must be a number from 0.15 to 5",
    ].toSorted(),
  );
});

test("a wrong value names the layer it came from", () => {
  const given = {
    file: "port: 1\n",
    environment: { CONTINUITY_WARM_MIN: "many" },
    options: { port: "x", logLevel: "y" },
  };
  assert.deepEqual(mistakes(given).toSorted(), [
    "--log-level: logLevel must be debug, info, warn, error or silent",
    "--port: port must be a whole number from 0 to 65535",
    "CONTINUITY_WARM_MIN: warm.min must be a whole number from 0 to 64",
  ]);
});

test("what single fields cannot say: names, paths, durations that do not go together", () => {
  const file = [
    "channels:",
    "  - { name: a, rtmpPath: app/x }",
    "  - { name: a, rtmpPath: app/x, segmentSeconds: 1, partSeconds: 1.5 }",
    "  - { name: demo, keys: [{name: k, key: abcdef}, {name: k, key: ghijkl}] }",
  ].join("\n");
  assert.deepEqual(mistakes({ file }), [
    "continuity.yaml:3: channels[1].name is channels[0]'s already",
    "continuity.yaml:3: channels[1].rtmpPath is channels[0]'s already",
    "continuity.yaml:3: channels[1].partSeconds must not exceed segmentSeconds (1)",
    "continuity.yaml:4: channels[2].name is the built-in channel's: set demo: false, or choose another name",
    "continuity.yaml:4: channels[2].keys must not use one name twice",
  ]);
});

test("hooks get their defaults; addresses that cannot work and keys that nobody would look at are refused", () => {
  const secret = "a-secret-of-the-customer";
  const { hooks } = read({
    file: `hooks:
  publish: { url: "https://example.org/may", secret: ${secret}, onFailure: allow }
  events:
    - { url: "https://example.org/a", secret: ${secret} }
    - { url: "https://example.org/b", secret: ${secret}, types: [stream.ended] }
`,
  }).config;
  assert.deepEqual(hooks.publish, {
    url: "https://example.org/may",
    secret,
    timeoutMs: 3000,
    cacheSeconds: 30,
    onFailure: "allow",
    keys: "ours",
    format: "json",
  });
  assert.deepEqual(
    hooks.events.map(({ types }) => types.length),
    [6, 1],
  );
  assert.deepEqual(
    mistakes({
      file: `hooks:
  publish: { url: "http://[", secret: ${secret}, keys: theirs, onFailure: allow }
  events:
    - { url: "https://me:hunter2@example.org/a", secret: ${secret} }
    - { url: "https://me:hunter2@example.org/a", secret: ${secret}, types: [stream.ended] }
`,
    }).map((mistake) => mistake.replace(/^\S+: /, "")),
    [
      "hooks.events[0].url must not hold a user or a password: requests are signed with the secret",
      "hooks.events[1].url is hooks.events[0]'s already: list its types there",
      "hooks.events[1].url must not hold a user or a password: requests are signed with the secret",
      "hooks.publish.url must be an address of http or https",
      "hooks.publish.onFailure must be refuse where keys is theirs: with your server away nobody would look at keys",
    ],
  );
  for (const broken of ['{ url: "ftp://x", secret: 16-characters-long }', `{ url: "http://x", secret: hunter2 }`])
    assert.doesNotMatch(mistakes({ file: `hooks: { publish: ${broken} }` }).join(), /hunter2/);
});

test("a variable sets one key at any depth, and is named when it is wrong", () => {
  const file = "hooks:\n  publish:\n    url: http://a.example/may\n    secret: in-the-file-until-now\n";
  const environment = { CONTINUITY_HOOKS_PUBLISH_SECRET: "from-the-environment" };
  const { publish } = read({ file, environment }).config.hooks;
  assert.deepEqual([publish?.url, publish?.secret], ["http://a.example/may", "from-the-environment"]);
  const wrong = { ...environment, CONTINUITY_HOOKS_PUBLISH_TIMEOUT_MS: "5" };
  assert.deepEqual(mistakes({ file: `${file}    on: 1\n`, environment: wrong }), [
    "continuity.yaml:5: hooks.publish.on is not known; allowed: url, secret, timeoutMs, cacheSeconds, onFailure, keys, format",
    "CONTINUITY_HOOKS_PUBLISH_TIMEOUT_MS: hooks.publish.timeoutMs must be a whole number from 100 to 4500",
  ]);
});

test("TLS: files beside the configuration file, ports that have defaults; neither without the other", () => {
  const { config, folder } = read({ file: "tls: { certificate: tls/cert.pem, key: /etc/key.pem }\nhttpsPort: 443\n" });
  assert.deepEqual(config.tls, {
    certificate: join(folder, "tls/cert.pem"),
    key: "/etc/key.pem",
    httpsPort: 443,
    rtmpsPort: 1936,
  });
  const environment = {
    CONTINUITY_TLS_CERTIFICATE: "/c.pem",
    CONTINUITY_TLS_KEY: "/k.pem",
    CONTINUITY_RTMPS_PORT: "1",
  };
  assert.equal(read({ environment }).config.tls?.rtmpsPort, 1);
  assert.deepEqual(mistakes({ file: "tls: { key: k.pem }\n" }), [
    "continuity.yaml:1: tls.certificate is missing: a PEM file",
  ]);
  assert.deepEqual(mistakes({ file: "host: localhost\nrtmpsPort: 1936\n" }), [
    "continuity.yaml:2: rtmpsPort needs tls: { certificate, key }",
  ]);
});

test("no two doors at one port", () => {
  const file = [
    "port: 4000",
    "rtmpPort: 4000",
    "channels:",
    "  - name: a",
    "    inputs:",
    "      - { kind: tcp, port: 4000 }",
    "      - { kind: udp, port: 5000 }",
    "  - name: b",
    "    inputs: [{ kind: udp, port: 5000, host: 0.0.0.0 }, { kind: udp, port: 5001, group: 239.1.1.1 }]",
    "  - { name: c, inputs: [{ kind: udp, port: 5001, group: 239.1.1.2 }, { kind: pull, url: 'rtsp://camera/1' }] }",
  ].join("\n");
  assert.deepEqual(mistakes({ file }), [
    "continuity.yaml:2: rtmpPort uses port 4000, which port has already",
    "continuity.yaml:6: channels[0].inputs[0] uses port 4000, which port has already",
    "continuity.yaml:9: channels[1].inputs[0] uses port 5000, which channels[0].inputs[1] has already",
  ]);
  read({ options: { port: "0", rtmpPort: "0" } });
});

test("listening beyond this machine needs secrets that somebody chose", () => {
  const message =
    "host 0.0.0.0 can be reached from other machines: set CONTINUITY_ADMIN_TOKEN and CONTINUITY_PUBLISH_KEY first, or listen on 127.0.0.1";
  assert.deepEqual(mistakes({ options: { host: "0.0.0.0" } }), [message]);
  assert.match(
    mistakes({ options: { host: "::" }, environment: { CONTINUITY_PUBLISH_KEY: "a-publish-key" } })[0]!,
    /set CONTINUITY_ADMIN_TOKEN first/,
  );
  for (const host of ["127.0.0.1", "127.9.9.9", "localhost", "::1"]) read({ options: { host } });
});

test("secrets that are too short are refused, without being shown", () => {
  const environment = {
    CONTINUITY_ADMIN_TOKEN: "shorty",
    CONTINUITY_PUBLISH_KEY: "sh y",
    CONTINUITY_CLUSTER_SECRET: "short",
  };
  const found = mistakes({ environment });
  assert.equal(found.length, 3);
  for (const line of found) assert.doesNotMatch(line, /shorty|sh y|: short/);
});

test("roles that run apart need each other's addresses and one secret", () => {
  const secret = { CONTINUITY_CLUSTER_SECRET: "0123456789abcdef0123456789abcdef" };
  const found = (roles: string, environment: Record<string, string> = secret) =>
    mistakes({ options: { roles }, environment });
  assert.deepEqual(found("gateway"), ["roles: gateway without control: set controlUrl, where it answers"]);
  assert.deepEqual(found("origin"), ["roles: origin without gateway: set gatewayUrl, where it answers"]);
  assert.deepEqual(found("control"), [
    "roles: control without gateway: set gatewayUrl, where it answers",
    "roles: control without origin: set originUrls, where it answers",
  ]);
  assert.deepEqual(found("gateway,control"), [
    "roles: gateway and control without origin: set originUrls, where it answers",
  ]);
  const apart = { CONTINUITY_CONTROL_URL: "http://10.0.0.2:2" };
  assert.match(found("gateway", apart)[0]!, /^CONTINUITY_CLUSTER_SECRET: must be set/);
  read({ options: { roles: "gateway" }, environment: { ...apart, ...secret } });
  read({ options: { roles: "gateway,origin,control" } });
});

test("the variables that Kubernetes makes for a service of our name are not ours", () => {
  const environment = {
    CONTINUITY_PORT: "tcp://10.0.0.1:8080",
    CONTINUITY_SERVICE_HOST: "10.0.0.1",
    CONTINUITY_PORT_8080_TCP_ADDR: "10.0.0.1",
  };
  assert.equal(read({ environment }).config.port, 8080);
});

test("files: a missing default is none, a missing named one is a mistake, broken YAML names its line", () => {
  assert.match(
    mistakes({ options: { config: "nowhere.yaml" } })[0]!,
    /nowhere\.yaml cannot be read: there is no such file/,
  );
  assert.match(mistakes({ file: "port: 1\nport: 2\n" })[0]!, /^continuity\.yaml:2: Map keys must be unique/);
  assert.match(mistakes({ file: "a: [1\n" })[0]!, /^continuity\.yaml:\d+: /);
  assert.deepEqual(mistakes({ file: "- 1\n" }), ["continuity.yaml:1: must be a mapping of keys to values"]);
  assert.deepEqual(
    mistakes({ file: "port: 1\nchannels:\n  - { { key: a-secret }: 1 }\n" }).filter((line) => /secret/.test(line)),
    [],
  );
  assert.equal(read({ file: "" }).config.file?.endsWith("continuity.yaml"), true);
});

test("aliases that grow without end are refused", () => {
  const levels = Array.from(
    { length: 12 },
    (_, i) => `a${i}: &a${i} [${i === 0 ? "x" : `${`*a${i - 1},`.repeat(9)}*a${i - 1}`}]`,
  );
  assert.match(mistakes({ file: levels.join("\n") })[0]!, /alias/i);
});

test("any text is a layer or a list of mistakes, never a throw", () => {
  const piece = fc.constantFrom(
    "port",
    ":",
    " ",
    "\n",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "&a",
    "*a",
    "'",
    '"',
    "|",
    ">",
    "?",
    "!!x",
    "#",
    "\t",
    "1",
    "\u0000",
    "<<: ",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const { value, where } = fileLayer("f", pieces.join(""));
      assert.equal(typeof value, "object");
      assert.match(where(["port", 0, "x"]), /^f:\d+$/);
    }),
    { seed: 11, numRuns: 2000 },
  );
});
