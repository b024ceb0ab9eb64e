/**
 * The listener's page in a real browser, on documents of a real server: the demo's story. Beside it, agents that do not
 * exist, for what a real one should never show: holes and hostile texts.
 *
 * `BITVILLE_TEST_SCREENSHOTS=1` writes the pictures of docs/screenshots/ anew.
 *
 * @module
 */

import assert from "node:assert/strict";
import axe from "axe-core";
import type { Browser } from "playwright-core";
import type { StoryFacts } from "../../tasks/demo/story.ts";
import type { WireDocument } from "../../tasks/listener/schemas.ts";
import { projectRoot } from "../support/agent_process.ts";
import { burstDocument, burstFacts } from "../support/burst_document.ts";
import { browserPath, type Look, openPage, startBrowser } from "../support/browser.ts";
import { GeneratedAgent } from "../support/generated_documents.ts";
import { hostileDocuments, hostileTexts } from "../support/hostile_documents.ts";
import { seededRandom } from "../support/seeded_random.ts";
import { stageKey, startStoryStage, type StoryStage } from "../support/story_stage.ts";
import { waitFor } from "../support/wait_for.ts";

const ignore = browserPath() === null;
const needs = ignore ? " (needs chromium)" : "";
const looks: Look[] = [
  { name: "desktop", scheme: "light" },
  { name: "desktop", scheme: "dark" },
  { name: "phone", scheme: "light" },
  { name: "phone", scheme: "dark" },
];
const minuteMs = 60_000;

let stage: StoryStage;
let browser: Browser;
let facts: StoryFacts;

Deno.test.beforeAll(async () => {
  if (ignore) return;
  stage = await startStoryStage();
  facts = await stage.tell();
  await stage.stopAgent();
  browser = await startBrowser();
  console.log(`Browser: chromium ${browser.version()}`);
});

Deno.test.afterAll(async () => {
  if (ignore) return;
  await browser.close();
  await stage[Symbol.asyncDispose]();
});

function base(): string {
  return stage.listener.current.pageUrl;
}

/** Each view's address, and a word that only real documents bring there. */
function views(): [string, string, RegExp][] {
  return [
    ["now", "#/now", /Sessions that are not idle|All sessions are idle/],
    ["then", `#/now?at=${facts.stormMs + 500}`, /holds up \d+ session/],
    [
      "time",
      `#/time?from=${facts.stormMs - 8_000}&to=${facts.stormMs + 16_000}`,
      /active sessions, by what they wait for/,
    ],
    ["statements", "#/statements?span=15m", /SELECT id, title, body FROM site_page WHERE slug = \$/],
    ["log", "#/log?span=15m", /deadlock detected/],
    ["requests", "#/requests?kind=waits", new RegExp(facts.victim)],
    ["request", `#/request/${facts.victim}`, /It ended in an error 40P01: deadlock detected/],
    ["agents", "#/agents", /Nothing is missing/],
  ];
}

async function post(document: WireDocument): Promise<void> {
  const answer = await fetch(stage.listener.current.url, {
    method: "POST",
    headers: {
      "authorization": `Bearer ${stageKey}`,
      "content-type": "application/json",
      "idempotency-key": document.id,
    },
    body: JSON.stringify(document),
  });
  assert.equal(answer.status, 202, await answer.text());
}

/** The number of an agent in addresses. */
function agentId(host: string): number {
  return stage.listener.current.agents().find((agent) => agent.host === host)!.id;
}

for (const look of looks) {
  const what = `${look.name}, ${look.scheme}`;
  Deno.test({ name: `the page shows every view of the story, accessibly: ${what}${needs}`, ignore }, async (t) => {
    await using opened = await openPage(browser, base(), look);
    const { page, show, complaints } = opened;
    for (const [name, address, expected] of views()) {
      await t.step(name, async () => {
        await show(address);
        assert.match(await page.innerText("main"), expected);
        const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth") as number;
        assert.ok(overflow <= 0, `${name} is ${overflow} pixels too wide`);
        assert.deepEqual(await violations(page), []);
        if (Deno.env.get("BITVILLE_TEST_SCREENSHOTS") === "1" && isPictured(look) && name !== "now") {
          await page.screenshot({ path: `${projectRoot}docs/screenshots/${name}-${look.name}-${look.scheme}.png` });
        }
      });
    }
    assert.deepEqual(complaints, []);
  });
}

/** Desktop by day and phone by night. What is now, after the story, is nothing to see: `then` is the storm. */
function isPictured({ name, scheme }: Look): boolean {
  return (name === "desktop") === (scheme === "light");
}

/** What axe-core finds, shortly. It is run through the debugger, past the page's Content-Security-Policy. */
async function violations(page: import("playwright-core").Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })") as {
    violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
  };
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`);
}

Deno.test({ name: `a request's story names whom it waited for and leads there and back${needs}`, ignore }, async () => {
  await using opened = await openPage(browser, base(), looks[0]!);
  const { page, show } = opened;
  await show(`#/request/bitville-${facts.victim}`);
  const verdict = await page.innerText(".verdict");
  assert.match(verdict, /It waited .* for a lock that request .* held/);
  assert.ok(verdict.includes(facts.holder.slice(0, 8)) && verdict.includes(facts.partner.slice(0, 8)), verdict);
  const story = await page.innerText(".events");
  for (const part of ["Began a transaction", "Got the lock after", "deadlock detected", "status = 'paid'"]) {
    assert.ok(story.includes(part), `${part} is not in\n${story}`);
  }
  await page.click(`.verdict a[title="Request ${facts.holder}"]`);
  await page.waitForSelector(`h1:has-text("${facts.holder}")`);
  await page.waitForSelector(".verdict");
  assert.ok((await page.innerText(".verdict")).includes(`It held up request ${facts.victim.slice(0, 8)}`));
  await page.click(`.verdict a[title="Request ${facts.victim}"]`);
  await page.waitForSelector(`h1:has-text("${facts.victim}")`);
});

Deno.test({ name: `the page shows what arrives, and keeps the focus where it was${needs}`, ignore }, async () => {
  await using opened = await openPage(browser, base(), looks[0]!);
  const { page, show } = opened;
  // Without the page's own look around every so often, only what it is told can make it draw.
  await page.addInitScript("globalThis.setInterval = () => 0");
  await page.reload();
  await show("#/agents");
  await page.waitForSelector('#live[data-state="live"]');
  await page.focus("main .card h2 a");
  const random = seededRandom(7);
  for (const document of new GeneratedAgent({ host: "arrives-live", random }).cycle(Date.now())) await post(document);
  await page.waitForSelector('article[aria-label="Agent on arrives-live"]');
  const focused = await page.evaluate("document.activeElement.textContent");
  assert.equal(focused, Deno.hostname());
  await page.selectOption("#server", String(agentId("arrives-live")));
  await show("#/now");
  assert.match(await page.innerText("h1"), /on arrives-live/);
});

Deno.test(
  { name: `the page says that the listener is away, and goes on when it is back${needs}`, ignore },
  async () => {
    await using opened = await openPage(browser, base(), looks[0]!);
    const { page, show } = opened;
    await show("#/agents");
    await page.waitForSelector('#live[data-state="live"]');
    await stage.listener.away(() => {});
    await page.waitForSelector('#live[data-state="lost"]');
    await stage.listener.back();
    await page.waitForSelector('#live[data-state="live"]');
    await post(new GeneratedAgent({ host: "after-return", random: seededRandom(8) }).cycle(Date.now())[5]!);
    await page.waitForSelector('article[aria-label="Agent on after-return"]');
  },
);

Deno.test({ name: `a hole in the data is a hole in the charts, with what became of it${needs}`, ignore }, async () => {
  const agent = new GeneratedAgent({ host: "with-a-hole", random: seededRandom(9), entries: 0 });
  const nowMs = Date.now();
  for (const minute of [12, 11, 10]) for (const one of agent.cycle(nowMs - minute * minuteMs)) await post(one);
  agent.lose(30, "evicted");
  for (const minute of [4, 3, 2]) for (const one of agent.cycle(nowMs - minute * minuteMs)) await post(one);
  agent.lose(2);
  for (const one of agent.cycle(nowMs)) await post(one);
  await using opened = await openPage(browser, base(), looks[0]!);
  const { page, show } = opened;
  await show(`#/time?span=15m&agent=${agentId("with-a-hole")}`);
  const holes = await page.innerText('section[aria-label="Holes in the data"]');
  assert.match(holes, /32 documents missing/);
  assert.match(holes, /30 documents had to go because the agent's buffer was full/);
  assert.match(holes, /not said yet: they may still come/);
  // In the middle of the hole no line is drawn: what is there has the colour of the ground or of the hatching.
  assert.equal(await drawnAt(page, nowMs - 7 * minuteMs), false);
  assert.equal(await drawnAt(page, nowMs - 11 * minuteMs), true);
  await show("#/agents");
  const card = await page.innerText('article[aria-label="Agent on with-a-hole"]');
  assert.match(card, /30 documents are lost/);
  assert.match(card, /2 documents have not come yet/);
});

Deno.test(
  { name: `a storm between two cycles is seen by the second, and in its requests${needs}`, ignore },
  async () => {
    const agent = new GeneratedAgent({ host: "with-a-burst", random: seededRandom(11), sessions: 1, entries: 0 });
    const nowMs = Date.now();
    const startMs = nowMs - 7.5 * minuteMs;
    for (let minute = 14; minute >= 0; minute--) {
      for (const one of agent.cycle(nowMs - minute * minuteMs)) await post(one);
      if (minute === 8) await post(burstDocument(agent, startMs));
    }
    await using opened = await openPage(browser, base(), looks[0]!);
    const { page, show, complaints } = opened;
    const { holder, waiter, waiting, stormS } = burstFacts;
    await show(`#/time?span=15m&agent=${agentId("with-a-burst")}`);
    assert.match(await page.innerText(".bursts"), /Recorded second by second: .*\d\d:\d\d:\d\d – /);
    assert.match(await page.getAttribute('[data-key="chart-Load"]', "aria-label") ?? "", /Lock · not listed: 0 to 15/);
    await page.click(".bursts a");
    await page.waitForSelector('.view[data-view="time"]:not([aria-busy]) .u-over');
    // Its tenth second, in the span around it: half a minute before, and after.
    const box = (await page.locator(".u-over").first().boundingBox())!;
    await page.mouse.click(box.x + box.width * (30 + 10) / (60 + 29), box.y + 60);
    await page.waitForSelector('.view[data-view="now"]:not([aria-busy]) h1:has-text("Then")');
    assert.match(await page.innerText("main"), /all are counted, the ten longest are listed/);
    assert.match(await page.innerText(".tree"), new RegExp(`holds up ${waiting} sessions`));
    await show(`#/request/${waiter}`);
    const verdict = await page.innerText(".verdict");
    assert.match(verdict, new RegExp(`It waited ${stormS - 1}.s for a lock that request ${holder.slice(0, 8)} held`));
    assert.match(
      await page.innerText(".events"),
      new RegExp(`The agent saw it waiting for a lock. ${stormS - 1} times until`),
    );
    await page.click(`.verdict a[title="Request ${holder}"]`);
    await page.waitForSelector(`h1:has-text("${holder}")`);
    await waitFor("who it held up", async () =>
      (await page.innerText(".verdict")).includes(`It held up`) &&
      (await page.innerText(".verdict")).includes(waiter.slice(0, 8)));
    await show("#/requests?kind=waits");
    assert.ok((await page.innerText("main")).includes(waiter));
    assert.deepEqual(complaints, []);
  },
);

Deno.test(
  { name: `the page says what the agent leaves out to spare its server, and why${needs}`, ignore },
  async () => {
    const governor = { step: "none", reason: null, since: "2026-11-21T10:02:00.000Z", server_ms: 45, budget_ms: 300 };
    const cases: [string, Record<string, unknown>, RegExp][] = [
      ["spares-nothing", governor, /^45.ms of 300.ms this cycle$/],
      [
        "spares-texts",
        { ...governor, step: "texts", reason: "120 sessions wait for locks" },
        /^Leaves out statement texts since .*:02:00, because: 120 sessions wait for locks; 45.ms of 300.ms this cycle$/,
      ],
      [
        "spares-locks",
        { ...governor, step: "locks", reason: "The server is calm" },
        /^Takes more in again since .*, because the server is calm; still leaves out statement texts, four .* and the/,
      ],
    ];
    for (const [host, one] of cases) {
      const status = new GeneratedAgent({ host, random: seededRandom(12) }).cycle(Date.now()).at(-1)!;
      await post({ ...status, data: { ...status.data, governor: one } });
    }
    await using opened = await openPage(browser, base(), looks[0]!);
    await opened.show("#/agents");
    for (const [host, , expected] of cases) {
      const card = opened.page.locator(`article[aria-label="Agent on ${host}"]`);
      assert.match(await card.locator('.facts div:has(dt:text-is("Budget")) dd').innerText(), expected);
    }
  },
);

/** Whether the first chart has a strong colour in the column of a time: the stack of the load. */
function drawnAt(page: import("playwright-core").Page, atMs: number): Promise<boolean> {
  return page.evaluate(
    `(() => {
      const canvas = document.querySelector(".plot canvas");
      const over = document.querySelector(".u-over");
      const [from, to] = [Date.now() - 15 * 60000, Date.now()];
      const scale = canvas.width / canvas.clientWidth;
      const left = over.offsetLeft + over.clientWidth * (${atMs} - from) / (to - from);
      const { data } = canvas.getContext("2d").getImageData(Math.round(left * scale), 0, 1, canvas.height);
      for (let i = 0; i < data.length; i += 4) {
        const colours = [data[i], data[i + 1], data[i + 2]];
        if (data[i + 3] > 200 && Math.max(...colours) - Math.min(...colours) > 60) return true;
      }
      return false;
    })()`,
  ) as Promise<boolean>;
}

Deno.test({ name: `hostile texts are shown and do nothing${needs}`, ignore }, async (t) => {
  const documents = hostileDocuments(Date.now());
  for (const document of documents) await post(document);
  const agent = agentId(hostileTexts.host);
  await using opened = await openPage(browser, base(), looks[0]!);
  const { page, show, complaints } = opened;
  const addresses: [string, string][] = [
    [`#/now?agent=${agent}`, hostileTexts.query],
    [`#/time?span=15m&agent=${agent}`, hostileTexts.host],
    [`#/statements?span=15m&agent=${agent}`, hostileTexts.query],
    [`#/log?span=15m&agent=${agent}`, hostileTexts.message],
    [`#/request/${hostileTexts.correlationId}`, hostileTexts.message],
    ["#/agents", hostileTexts.error],
  ];
  for (const [address, text] of addresses) {
    await t.step(address.replace(/\?.*/, ""), async () => {
      await show(address);
      for (const summary of await page.locator("main summary").all()) await summary.click();
      await waitFor("the text", async () => (await page.innerText("main")).includes(text));
      assert.equal(await page.evaluate("globalThis.hacked"), undefined);
      assert.equal(await page.locator("main script, main img, main iframe, main [onerror], main [onclick]").count(), 0);
    });
  }
  await show("#/statements?span=15m");
  assert.deepEqual(complaints, []);
});

Deno.test({ name: `the page runs under a policy that allows no foreign script${needs}`, ignore }, async () => {
  const answer = await fetch(base());
  const html = await answer.text();
  const policy = answer.headers.get("content-security-policy") ?? "";
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.doesNotMatch(html, /<script(?![^>]* src=)|<style| on[a-z]+=| style=/);
  await using opened = await openPage(browser, base(), looks[0]!);
  const { page, complaints } = opened;
  const run =
    "const s = document.createElement('script'); s.textContent = 'globalThis.hacked = 1'; document.body.append(s)";
  await page.evaluate(run);
  assert.equal(await page.evaluate("globalThis.hacked"), undefined);
  assert.match(complaints.join(), /Content Security Policy/);
});

Deno.test({ name: `the page can be used by the keyboard alone${needs}`, ignore }, async () => {
  await using opened = await openPage(browser, base(), looks[0]!);
  const { page, show } = opened;
  const agent = `agent=${agentId(Deno.hostname())}`;
  await show(`#/now?${agent}`);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate("document.activeElement.id"), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate("document.activeElement.id"), "main");
  await show(`#/time?span=15m&${agent}`);
  await page.focus('[data-key="chart-Load"]');
  await page.keyboard.press("ArrowLeft");
  await waitFor(
    "the time under the cursor",
    async () => /\d\d:\d\d/.test(await page.innerText(".chart-time >> nth=0")),
  );
  await page.keyboard.press("Enter");
  await page.waitForSelector('.view[data-view="now"]:not([aria-busy]) h1:has-text("Then")');
  await show(`#/log?span=15m&${agent}`);
  await page.focus('select[name="level"]');
  await page.selectOption('select[name="level"]', "ERROR");
  await waitFor("errors only", async () => {
    const levels = await page.locator(".log .level").allInnerTexts();
    return levels.length > 0 && levels.every((level) => level === "ERROR");
  });
  await page.fill('input[name="sqlstate"]', "40P01");
  await page.keyboard.press("Enter");
  await waitFor("the deadlock alone", async () => {
    const messages = await page.locator(".log .message").allInnerTexts();
    return messages.length === 1 && messages[0] === "deadlock detected";
  });
});

Deno.test({ name: `a chart zooms by dragging, and the address has the span${needs}`, ignore }, async () => {
  await using opened = await openPage(browser, base(), looks[0]!);
  const { page, show } = opened;
  await show(`#/time?span=15m&agent=${agentId(Deno.hostname())}`);
  const box = (await page.locator(".u-over").first().boundingBox())!;
  await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.9, box.y + 40, { steps: 5 });
  await page.mouse.up();
  await waitFor("the span in the address", async () => {
    const [, from, to] = /from=(\d+)&to=(\d+)/.exec(await page.evaluate("location.hash") as string) ?? [];
    const spanMs = Number(to) - Number(from);
    return spanMs > 5 * minuteMs && spanMs < 7 * minuteMs;
  });
});

Deno.test({ name: `the page lists a hundred statements first, and all that are stored${needs}`, ignore }, async () => {
  const many = new GeneratedAgent({ host: "many-statements", random: seededRandom(13), statements: 100 });
  for (const cycle of [3, 2, 1]) {
    const one = many.cycle(Date.now() - cycle * minuteMs).find(({ type }) => type === "pg_stat_statements")!;
    const statements = one.data.statements as { queryid: string }[];
    // Others in each.
    for (const statement of statements) statement.queryid = `${cycle}${statement.queryid}`;
    await post(one);
  }
  await using opened = await openPage(browser, base(), looks[0]!);
  const { page, show, complaints } = opened;
  await show(`#/statements?span=15m&agent=${agentId("many-statements")}`);
  assert.equal(await page.locator("tbody tr").count(), 100);
  const [, stored] = /These 100 lead, of (\d+) that are stored/.exec(await page.innerText("main")) ?? [];
  await page.click('[data-key="all"]');
  await waitFor("all of them", async () => await page.locator("tbody tr").count() === Number(stored));
  assert.equal(await page.locator('[data-key="all"]').count(), 0);
  assert.deepEqual(complaints, []);
});

Deno.test({ name: `documents of a type that the page does not know change nothing${needs}`, ignore }, async () => {
  const agent = new GeneratedAgent({ host: "of-tomorrow", random: seededRandom(10) });
  await post(agent.document("pg_tomorrow", Date.now(), { samples: [[1, 2]], sessions: "none" }));
  for (const document of agent.cycle(Date.now())) await post(document);
  await using opened = await openPage(browser, base(), looks[0]!);
  const { page, show, complaints } = opened;
  await show(`#/now?agent=${agentId("of-tomorrow")}`);
  assert.match(await page.innerText("main"), /Sessions that are not idle/);
  assert.deepEqual(complaints, []);
});
