import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const places = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];
export const chromiumIsAbsent = 'Chromium is not installed: install it, or set CHROMIUM_PATH to a Chromium or Chrome.';

/** Starts the installed Chromium without a window; null where none is installed. It finds no host but this machine. */
export async function launchChromium(): Promise<Browser | null> {
  const executablePath = places.find((place) => place && existsSync(place));
  if (!executablePath) return null;
  return chromium.launch({
    executablePath,
    headless: true,
    ignoreDefaultArgs: ['--disable-popup-blocking'], // people's browsers open windows for a click only
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
    ],
  });
}
