// nginx's configuration language: words, quotes, blocks, comments. Nothing is interpreted here but `include`.
import { PlatformError } from "#base/errors.ts";

export type Directive = Readonly<{
  name: string;
  args: readonly string[];
  /** null: it ends with ";" */
  children: readonly Directive[] | null;
  /** "nginx.conf:12" */
  where: string;
}>;

/** Files as nginx would find them. */
export interface ConfigFiles {
  /** @param pattern of an `include`, maybe with * ? [ ]; relative ones begin at the first file's folder
   *  @returns paths in the order of their names; none when nothing matches */
  find(pattern: string): readonly string[];
  /** @throws PlatformError config.invalid */
  read(path: string): string;
}

const DEPTH_MAX = 32;
const FILES_MAX = 1000;
const BYTES_MAX = 16 * 1024 * 1024;

type Token = Readonly<{ text: string; line: number; kind: "word" | "{" | "}" | ";" }>;

/** @throws PlatformError config.invalid, with the place, for what nginx would not take either */
export function readNginx(path: string, files: ConfigFiles): Directive[] {
  const budget = { files: 0, bytes: 0 };
  const readFile = (file: string, depth: number): Directive[] => {
    const text = files.read(file);
    budget.files += 1;
    budget.bytes += text.length;
    if (depth > DEPTH_MAX || budget.files > FILES_MAX || budget.bytes > BYTES_MAX)
      throw invalid(file, 1, "includes more than can be read: does a file include itself?");
    return expand(parseNginx(text, file), depth);
  };
  const expand = (directives: readonly Directive[], depth: number): Directive[] =>
    directives.flatMap((directive) => {
      if (directive.name === "include" && directive.children === null)
        return directive.args.flatMap((pattern) => files.find(pattern).flatMap((file) => readFile(file, depth + 1)));
      return [directive.children ? { ...directive, children: expand(directive.children, depth) } : directive];
    });
  return readFile(path, 0);
}

/** @param file for messages @throws PlatformError config.invalid */
export function parseNginx(text: string, file: string): Directive[] {
  const tokens = tokenize(text, file);
  let at = 0;
  const block = (depth: number, openedAt: number): Directive[] => {
    if (depth > DEPTH_MAX) throw invalid(file, openedAt, "has more blocks in blocks than make sense");
    const directives: Directive[] = [];
    for (;;) {
      const first = tokens[at];
      if (first === undefined) {
        if (depth > 0) throw invalid(file, openedAt, 'opens a block that is not closed: "}" is missing');
        return directives;
      }
      at += 1;
      if (first.kind === "}") {
        if (depth === 0) throw invalid(file, first.line, 'has a "}" too many');
        return directives;
      }
      if (first.kind !== "word") throw invalid(file, first.line, `has a "${first.kind}" without a directive`);
      const args: string[] = [];
      while (tokens[at]?.kind === "word") args.push(tokens[at++]!.text);
      const end = tokens[at];
      at += 1;
      if (end === undefined || end.kind === "}")
        throw invalid(file, first.line, `has ${first.text} without ";" or "{" after it`);
      const children = end.kind === "{" ? block(depth + 1, first.line) : null;
      directives.push({ name: first.text, args, children, where: `${file}:${first.line}` });
    }
  };
  return block(0, 1);
}

/** White space, comment, one of {};, a quoted text, or a word. */
const TOKEN =
  /[\s]+|#[^\n]*|[{};]|"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'|(?:\$\{[^}\s]*\}|\\[\s\S]|[^\s{};"'\\])(?:\$\{[^}\s]*\}|\\[\s\S]|[^\s{};\\])*/y;

function tokenize(text: string, file: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const start = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw invalid(file, line, `cannot be read at ${JSON.stringify(text.slice(start, start + 20))}`);
    const piece = match[0];
    if (piece === "{" || piece === "}" || piece === ";") tokens.push({ text: piece, line, kind: piece });
    else if (!/^[\s#]/.test(piece)) tokens.push({ text: unquoted(piece), line, kind: "word" });
    for (let i = piece.indexOf("\n"); i >= 0; i = piece.indexOf("\n", i + 1)) line += 1;
  }
  return tokens;
}

function unquoted(piece: string): string {
  const isQuoted = /^(["']).*\1$/s.test(piece) && piece.length >= 2;
  const inner = isQuoted ? piece.slice(1, -1) : piece;
  return inner.replaceAll(/\\([\s\S])/g, (all, next: string) => {
    const control = { n: "\n", r: "\r", t: "\t" }[next];
    return control ?? (/["'\\ ;{}#]/.test(next) ? next : all);
  });
}

function invalid(file: string, line: number, what: string): PlatformError {
  return new PlatformError("config.invalid", `${file}:${line}: ${what}.`);
}
