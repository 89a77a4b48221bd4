// The commands that have commands of their own, and what their help says. What they do is loaded when they are called.
import { Argument, type Command } from "commander";
import { optionOf, SETTINGS } from "./settings.ts";

/** Adds the options that every question to an installation takes. */
type Shared = (command: Command) => Command;

const REVISION = "do it only while the channel is at this revision (`show` tells it)";

export function addChannelCommands(program: Command, shared: Shared): void {
  const load = () => import("./channels.ts");
  const channels = program
    .command("channels")
    .description("channels: list, show, create, set, delete, and their keys")
    .addHelpText(
      "after",
      `
Examples:
  continuity channels
  continuity channels create news --ladder 720:3500,360 --segment-seconds 2
  continuity channels create relay --ladder passthrough --inputs "udp:239.0.0.1@5000"
  continuity channels set news windowSegments=60 limits.bitrateKbps=8000
  continuity channels keys news add studio --expires 30d
  continuity channels keys news rotate studio --grace 1h
  continuity channels keys news revoke studio
  continuity channels delete news`,
    );

  shared(channels.command("list", { isDefault: true }).description("all channels")).action(async (options) =>
    (await load()).list(options),
  );
  shared(channels.command("show").description("one channel").argument("<name>")).action(async (name, options) =>
    (await load()).show(name, options),
  );

  const create = channels.command("create").description("make a channel; its key is printed once").argument("<name>");
  for (const setting of SETTINGS) create.option(`${optionOf(setting)} ${setting.value}`, setting.about);
  shared(
    create
      .option("--key <text>", "key of the channel, instead of a new one")
      .option("--key-name <name>", "name of that key (default)"),
  ).action(async (name, options) => (await load()).create(name, options));

  shared(
    channels
      .command("set")
      .description("change settings; a running session keeps what it began with")
      .argument("<name>")
      .argument("<key=value...>", `of ${SETTINGS.map(({ path }) => path).join(", ")}`)
      .option("--revision <text>", REVISION),
  ).action(async (name, words, options) => (await load()).set(name, words, options));

  shared(
    channels
      .command("delete")
      .description("remove a channel that nobody publishes to")
      .argument("<name>")
      .option("--revision <text>", REVISION),
  ).action(async (name, options) => (await load()).remove(name, options));

  shared(
    channels
      .command("keys")
      .description("keys of a channel; each text is shown once, when it is made")
      .argument("<name>", "the channel")
      .addArgument(new Argument("[action]").choices(["list", "add", "rotate", "revoke"]).default("list"))
      .argument("[key]", "name of the key")
      .option("--key <text>", "add, rotate: this text instead of a new one")
      .option(
        "--expires <when>",
        "add, rotate: 30d, 12h, or an instant like 2027-01-31T18:00:00Z, or never (add: never; rotate: as before)",
      )
      .option("--grace <time>", "rotate: how long the old text stays good (24h); 0 ends it at once")
      .option("--no-kick", "revoke: let a publisher that is on with it go on"),
  ).action(async (name, action, key, options) => (await load()).keys(name, action, key, options));
}

export function addSessionCommands(program: Command, shared: Shared): void {
  const load = () => import("./sessions.ts");
  const sessions = program
    .command("sessions")
    .description("sessions: list, stop, kick")
    .addHelpText(
      "after",
      `
Examples:
  continuity sessions --json
  continuity sessions kick ID   its publisher is disconnected; the session waits for one, for the channel's grace
  continuity sessions stop ID   it ends`,
    );
  shared(sessions.command("list", { isDefault: true }).description("all sessions, live ones first")).action(
    async (options) => (await load()).list(options),
  );
  shared(sessions.command("stop").description("end a session now").argument("<id>")).action(async (id, options) =>
    (await load()).order("stop", id, options),
  );
  shared(sessions.command("kick").description("disconnect a session's publisher").argument("<id>")).action(
    async (id, options) => (await load()).order("kick", id, options),
  );
}

export function addHookCommands(program: Command, shared: Shared): void {
  const load = () => import("./hooks.ts");
  const hooks = program.command("hooks").description("events of streams that are sent to other servers: list, test");
  shared(hooks.command("list", { isDefault: true }).description("each target, and how delivery goes")).action(
    async (options) => (await load()).list(options),
  );
  shared(hooks.command("test").description("send each target a test event")).action(async (options) =>
    (await load()).test(options),
  );
}

export function addMigrateCommand(program: Command): void {
  program
    .command("migrate")
    .description("write channels for continuity.yaml from another server's configuration")
    .addArgument(new Argument("<from>").choices(["nginx-rtmp", "mediamtx"]))
    .argument("<config>", "its configuration file")
    .option("--output <file>", "write there instead of standard output")
    .option("--force", "overwrite that file")
    .option("--streams <list>", "nginx-rtmp: APP/NAME,APP/NAME: the stream names in use, each a channel")
    .option("--json", "machine-readable output: {yaml, notes}")
    .addHelpText(
      "after",
      `
What has no counterpart is told on standard error and as comments in the file.

Examples:
  continuity migrate nginx-rtmp /etc/nginx/nginx.conf --output continuity.yaml
  continuity migrate mediamtx mediamtx.yml > continuity.yaml`,
    )
    .action(async (from, config, options) => (await import("./migrate.ts")).migrate(from, config, options));
}
