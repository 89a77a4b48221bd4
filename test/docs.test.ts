// Pages that name files and functions go wrong silently. So: every relative link leads somewhere, and in a walk every
// `name()` stands in one of the files that its paragraph links to.
import { strict as assert } from "node:assert";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..");
const LINK = /\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g;
const CALL = /`#?([A-Za-z]\w*)\(\)`/g;

const read = (page: string) => readFileSync(join(root, page), "utf8");
const linksOf = (page: string, text: string) =>
  [...text.matchAll(LINK)].map(([, target]) => join(root, dirname(page), target!));

test("relative links of all pages lead somewhere", () => {
  const pages = ["README.md", "test/README.md", ...globSync("docs/**/*.md", { cwd: root })];
  const links = pages.flatMap((page) => linksOf(page, read(page)).map((target) => ({ page, target })));
  assert.ok(links.length > 40, `${links.length} links`);
  assert.deepEqual(
    links.filter(({ target }) => !existsSync(target)),
    [],
  );
});

test("a walk names functions that are in the files it points to", () => {
  let names = 0;
  for (const page of globSync("docs/walks/*.md", { cwd: root }))
    for (const paragraph of read(page).split(/\n\s*\n/)) {
      const files = linksOf(page, paragraph).filter((file) => file.endsWith(".ts"));
      const code = files.map((file) => readFileSync(file, "utf8")).join("\n");
      for (const [, name] of paragraph.matchAll(CALL)) {
        assert.ok(
          new RegExp(`\\b${name}\\(`).test(code),
          `${page}: no ${name}() in ${files} (${paragraph.slice(0, 60)})`,
        );
        names += 1;
      }
    }
  assert.ok(names > 30, `${names} names`);
});

test("decisions are numbered without gaps, and the list has all of them", () => {
  const pages = globSync("docs/decisions/[0-9]*.md", { cwd: root }).sort();
  const list = read("docs/decisions/README.md");
  assert.ok(pages.length > 10, `${pages.length} pages`);
  for (const [i, page] of pages.entries()) {
    const number = String(i + 1).padStart(4, "0");
    const name = page.split("/").at(-1)!;
    assert.ok(name.startsWith(`${number}-`), `${page} should be number ${number}`);
    assert.ok(read(page).startsWith(`# ${number}: `), `${page} begins with its number`);
    assert.ok(list.includes(`[${number}](${name})`), `${page} is in the list`);
    for (const part of ["Question", "Choice", "Cost"])
      assert.ok(read(page).includes(`**${part}.**`), `${page}: ${part}`);
  }
});

test("a word of the glossary stands there once", () => {
  const words = [...read("docs/glossary.md").matchAll(/^\| ([^|]+?) \|/gm)].map(([, word]) => word!).slice(2);
  const single = words.flatMap((word) => word.split(/ \/ |, /)).map((word) => word.toLowerCase());
  assert.ok(single.length > 30, `${single.length} words`);
  assert.deepEqual(
    single.filter((word, i) => single.indexOf(word) !== i),
    [],
  );
});

test("a publisher that is turned away finds its code in the guide", () => {
  const codes = [...read("src/base/errors.ts").matchAll(/^ {2}"((?:publish|ingest)\.\w+)":/gm)].map(
    ([, code]) => code!,
  );
  assert.ok(codes.length >= 10, `${codes}`);
  const guide = read("docs/guides/encoders.md");
  assert.deepEqual(
    codes.filter((code) => !guide.includes(`\`${code}\``)),
    [],
  );
});
