// An operator at the console, in a real Chromium: a channel made, its keys, a slip of the hand, a second operator, a kick.
import { strict as assert } from "node:assert";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { chromium, type Page } from "playwright-core";
import { type Installation, publishPicture, sessionIn, unlessInstalled, withInstallation } from "./installation.ts";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

async function atConsole(installation: Installation, body: (page: Page) => Promise<void>): Promise<void> {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
    page.setDefaultTimeout(20_000);
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.addInitScript((token) => sessionStorage.setItem("continuity.token", token), installation.adminToken);
    await page.goto(installation.url);
    await body(page);
    assert.deepEqual(errors, []);
  } finally {
    await browser.close();
  }
}

const button = (page: Page, name: string | RegExp) => page.getByRole("button", { name });
/** For what cannot be taken back. */
async function confirm(page: Page, name: string | RegExp, question: string): Promise<void> {
  await button(page, name).click();
  await button(page, question).click();
}

test("channels at the console: made, keyed, changed, deleted; who comes second is told", {
  skip: existsSync(CHROMIUM) ? false : "skipped: no chromium",
}, async () => {
  await withInstallation({}, (installation) =>
    atConsole(installation, async (page) => {
      await button(page, "New channel").click();
      await page.getByRole("textbox", { name: "Name" }).fill("news");
      await page.getByRole("combobox", { name: "Ladder" }).selectOption("list");
      await page.getByRole("textbox", { name: "Rungs" }).fill("copy, 36O");
      await page.getByRole("textbox", { name: "At most lines" }).fill("1080");
      await button(page, "Make channel").click();
      await page.getByText('"36O" is no rung').waitFor();
      await page.getByRole("textbox", { name: "Rungs" }).fill("copy, 360");
      await page.getByRole("textbox", { name: "Segment, s" }).fill("99");
      await button(page, "Make channel").click();
      await page.getByText(/segmentSeconds must be a number from 1 to 10/).waitFor();
      await page.getByRole("textbox", { name: "Segment, s" }).fill("4");
      await button(page, "Make channel").click();

      await page.getByText("it is not shown again").waitFor();
      const key = await page.locator(".fresh code").textContent();
      const made = await installation.get("/api/v1/channels/news");
      assert.deepEqual(
        [made.ladder, made.segmentSeconds, made.limits.height],
        [[{ copy: true }, { height: 360 }], 4, 1080],
      );
      await button(page, "I have it").click();
      assert.ok(!(await page.content()).includes(key!), "put away");

      await button(page, "Edit news").click(); // closes what was left of the making
      await button(page, "Edit news").click();
      await page.getByRole("textbox", { name: "Name of a new key" }).fill("van");
      await button(page, "Add key").click();
      await confirm(page, "Rotate key van", "Make a new one?");
      await page.getByText("The old one is good until").waitFor();
      await confirm(page, "Revoke key van", "Really revoke?");
      await button(page, "Rotate key van").waitFor({ state: "detached" });
      await page.getByRole("textbox", { name: "Segments listed" }).fill("12");
      await button(page, "Save").click();
      await button(page, "Save").waitFor({ state: "detached" });
      assert.equal(
        (await installation.get("/api/v1/channels/news")).windowSegments,
        12,
        "own keys are in nobody's way",
      );

      await button(page, "Edit news").click();
      await page.getByRole("textbox", { name: "Segments listed" }).fill("20");
      const other = await fetch(`${installation.url}/api/v1/channels/news`, {
        method: "PATCH",
        headers: { authorization: `Bearer ${installation.adminToken}`, "content-type": "application/json" },
        body: '{"endGraceSeconds":9}',
      });
      assert.equal(other.status, 200);
      await page.getByText("Somebody changed this channel meanwhile").waitFor();
      await button(page, "Save").click();
      await page.getByText("Channel news was changed meanwhile: read it again").waitFor();
      const kept = await installation.get("/api/v1/channels/news");
      assert.deepEqual([kept.windowSegments, kept.endGraceSeconds], [12, 9]);

      await button(page, "Close").click();
      await button(page, "Edit news").click();
      await confirm(page, "Delete", "Really delete?");
      await button(page, "Edit news").waitFor({ state: "detached" });
    }),
  );
});

test("a kick at the console: the publisher is gone, the session waits for one; a stop ends it", {
  skip: existsSync(CHROMIUM) ? unlessInstalled("ffmpeg") : "skipped: no chromium",
}, async () => {
  await withInstallation({ args: ["--log-level", "info"] }, async (installation) => {
    const publisher = publishPicture(installation, "cam");
    try {
      const { id } = await sessionIn(installation, "cam", "live", 20_000);
      await atConsole(installation, async (page) => {
        await confirm(page, /^Kick cam/, "Disconnect it?");
        assert.notEqual(await publisher.done, 0);
        assert.equal((await sessionIn(installation, "cam", "interrupted")).id, id);
        await confirm(page, /^Stop cam/, "Really stop?");
        assert.equal((await sessionIn(installation, "cam", "ended")).id, id);
      });
    } finally {
      await publisher.kill();
    }
  });
});
