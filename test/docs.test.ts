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
