// The command line. Each command lives in a file of its own and is loaded when it is called, so that `--help` and
// `status` stay quick and only those commands that need FFmpeg load it.
import { Command, CommanderError } from "commander";
import { describe, PlatformError } from "#base/errors.ts";
import { VERSION } from "../version.ts";
import { addChannelCommands, addHookCommands, addMigrateCommand, addSessionCommands } from "./commands.ts";

/** Exit codes: 0 done, 1 it failed, 2 the command line or the configuration is wrong, 3 no installation answers, 4 it was
 *  refused. */
const EXIT = { failed: 1, usage: 2, unreachable: 3, refused: 4 } as const;

function exitCodeOf(error: unknown): number {
  if (!(error instanceof PlatformError)) return EXIT.failed;
  if (error.code === "network.unreachable") return EXIT.unreachable;
  if (error.code === "config.invalid") return EXIT.usage;
  if (/^(api\.(unauthorized|forbidden)|publish\.)/.test(error.code)) return EXIT.refused;
  return EXIT.failed;
}

const program = new Command("continuity")
  .description("Live streams in, adaptive low-latency HLS out.")
  .version(VERSION)
  .showHelpAfterError("(run with --help for what there is)")
  .exitOverride();

const shared = (command: Command) =>
  command
    .option("--data <folder>", "data folder of the installation; says where it answers and holds its token")
    .option("--url <url>", "address of the installation, instead of the one the data folder names")
    .option("--token <token>", "admin token, instead of the one the data folder holds")
    .option("--json", "machine-readable output");

program
  .command("up")
  .description("run Continuity on this machine until stopped")
  .option("--host <address>", "address to listen on (default 127.0.0.1)")
  .option("--port <number>", "HTTP port, 0 takes a free one (default 8080)")
  .option("--rtmp-port <number>", "RTMP port, 0 takes a free one (default 1935)")
  .option("--data <folder>", "where state lives (default ./.continuity)")
  .option("--config <file>", "configuration file (default ./continuity.yaml when it exists)")
  .option("--roles <list>", "comma-separated subset of gateway,origin,control (default all)")
  .option("--log-level <level>", "debug, info, warn, error")
  .option("--json", "print the addresses as one JSON line")
  .action(async (options) => (await import("./up.ts")).up(options));

shared(
  program
    .command("publish")
    .description("publish a file in real time, as an encoder would")
    .argument("<file>", "anything FFmpeg reads"),
)
  .option("--to <url>", "rtmp(s)://.../live/CHANNEL?key=... or http(s)://.../ingest/CHANNEL.mpegts?key=...")
  .option("--channel <name>", "channel of the installation (default: the file's name)")
  .option("--loop", "start again at the end, until stopped")
  .action(async (file, options) => (await import("./publish.ts")).publish(file, options));

addChannelCommands(program, shared);
addSessionCommands(program, shared);
addHookCommands(program, shared);
addMigrateCommand(program);

shared(program.command("status").description("one look at the whole installation")).action(async (options) =>
  (await import("./status.ts")).status(options),
);
shared(program.command("doctor").description("check this machine and say what to do about what is missing")).action(
  async (options) => (await import("./doctor.ts")).doctor(options),
);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage;
  else {
    const unexpected = !(error instanceof PlatformError);
    console.error(`continuity: ${unexpected && error instanceof Error ? error.stack : describe(error)}`);
    process.exitCode = exitCodeOf(error);
  }
}
