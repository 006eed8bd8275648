import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished } from 'vitest';
import { chromiumIsAbsent, launchChromium } from './chromium.ts';

const isRequired = process.env.CI === 'true' || process.env.REQUIRE_SERVICES === '1';

/**
 * Chromium for the tests of a file. Where it is missing they are skipped and say so; where services are required they fail.
 * What it answers opens a page of a new profile, which shares cookies and storage with no other. A test fails when a page of its
 * profiles throws, or asks another host than this machine for anything.
 */
export function useChromium(): (options?: BrowserContextOptions) => Promise<Page> {
  let browser: Browser | null = null;
  beforeAll(async () => {
    browser = await launchChromium();
    if (!browser && isRequired) throw new Error(chromiumIsAbsent);
  });
  beforeEach((context) => context.skip(!browser, chromiumIsAbsent));
  afterAll(() => browser?.close());

  return async (options = {}) => {
    if (!browser) throw new Error(chromiumIsAbsent);
    const context = await browser.newContext(options);
    context.setDefaultTimeout(30_000);
    const faults: string[] = [];
    context.on('request', (request) => {
      if (!isLocal(request.url())) faults.push(`asked for ${request.url()}`);
    });
    context.on('weberror', (webError) => faults.push(`threw ${webError.error().message}`));
    onTestFinished(async () => {
      await context.close();
      expect(faults).toEqual([]);
    });
    return context.newPage();
  };
}

function isLocal(address: string): boolean {
  const { protocol, hostname } = new URL(address);
  return ['data:', 'blob:', 'about:'].includes(protocol) || hostname === 'localhost' || hostname === '127.0.0.1';
}
