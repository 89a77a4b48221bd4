// A child process for the journal's tests: appends numbered records, several at a time, and says which were acknowledged.
// Arguments: folder, journal name, bytes of a record, how many appends in flight. Runs until it is killed, or until an
// append fails: then it says why, appends one small record, and leaves.
import { describe } from "#base/errors.ts";
import { fileJournals } from "../file.ts";

const [folder = "", name = "", bytes = "", inFlight = ""] = process.argv.slice(2);
const journal = await fileJournals(folder).open(name);
let next = 0;
let failure: string | null = null;

const say = (line: string) => new Promise((resolve) => process.stdout.write(`${line}\n`, resolve));

async function appendOn(): Promise<void> {
  while (failure === null) {
    const number = next++;
    try {
      await journal.append(Buffer.from(`${number}:`.padEnd(Number(bytes), "x")));
    } catch (error) {
      failure ??= describe(error);
      return;
    }
    await say(`ok ${number}`);
  }
}

await Promise.all(Array.from({ length: Number(inFlight) }, appendOn));
await say(`failed ${failure}`);
await journal.append(Buffer.from("small"));
await say("small ok");
await journal.close();
