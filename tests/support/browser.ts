/**
 * Debian's chromium for tests of the listener's page, driven by playwright-core.
 *
 * @module
 */

import { type Browser, chromium, type Page } from "playwright-core";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Nothing of the network beyond the listener, and what a browser needs to run as root in a container. */
const args = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The browser's program, or null where there is none: tests say so and are skipped. */
export function browserPath(): string | null {
  return places.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  }) ?? null;
}

/** Starts it, in a folder of its own that is removed with it. Throws where there is none. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = browserPath();
  if (executablePath === null) throw new Error("Cannot test the page without a browser: install chromium");
  return await chromium.launch({ executablePath, args });
}

/** How a page is looked at. */
export interface Look {
  name: "desktop" | "phone";
  scheme: "light" | "dark";
}

const sizes = { desktop: { width: 1360, height: 900 }, phone: { width: 390, height: 844 } };

/** A page, and all that it complained about. Disposing of it closes it. */
export interface OpenPage extends AsyncDisposable {
  page: Page;
  complaints: string[];
  /** Goes to an address of the listener's page and waits until it is drawn. */
  show(address: string): Promise<void>;
}

/** Opens a page of the listener at `base`. */
export async function openPage(browser: Browser, base: string, look: Look): Promise<OpenPage> {
  const context = await browser.newContext({
    viewport: sizes[look.name],
    colorScheme: look.scheme,
    isMobile: look.name === "phone",
    hasTouch: look.name === "phone",
    reducedMotion: "reduce",
    timezoneId: "Europe/Berlin",
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.goto(base);
  return {
    page,
    complaints,
    async show(address) {
      await page.goto(new URL(address, base).href);
      await page.waitForSelector(`.view[data-view="${viewOf(address)}"]:not([aria-busy])`);
      // Charts are drawn in the next frame.
      await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
    },
    [Symbol.asyncDispose]: () => context.close(),
  };
}

function viewOf(address: string): string {
  return /^#\/(\w+)/.exec(address)?.[1] ?? "now";
}
