import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { StartupError } from '../../src/lib/startup-error.ts';
import { startService } from '../support/harness.ts';

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'app-user-connectors-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const claimsIn = (folder: string) => readdirSync(folder).filter((name) => name.startsWith('lock'));

/** The claim of this very process, as a service leaves it. */
async function ownClaim(): Promise<Record<string, unknown>> {
  const folder = newFolder();
  const { app } = await startService({ DATA_DIR: folder });
  const claim = JSON.parse(readFileSync(join(folder, claimsIn(folder)[0] ?? ''), 'utf8')) as Record<string, unknown>;
  await app.stop();
  return claim;
}

function leaveClaim(folder: string, text: string): string {
  const name = `lock.${randomUUID()}`;
  writeFileSync(join(folder, name), text);
  return name;
}

/** Touches a claim as its holder does. Answers how to end that. */
function keepTouching(folder: string, name: string): () => void {
  const beat = setInterval(() => {
    if (existsSync(join(folder, name))) utimesSync(join(folder, name), new Date(), new Date());
  }, 100);
  onTestFinished(() => clearInterval(beat));
  return () => clearInterval(beat);
}

/** Why a service does not start on a folder; null where it does. */
async function refusal(folder: string): Promise<string | null> {
  try {
    const { app } = await startService({ DATA_DIR: folder });
    await app.stop();
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError);
    return (error as StartupError).message;
  }
}

test('data directory: a second start is refused while the first lives, and taken when it has stopped', async () => {
  const folder = newFolder();
  const first = await startService({ DATA_DIR: folder });
  const inUse = `DATA_DIR ${folder} is in use by process ${process.pid}; more than one process needs DATABASE_URL.`;
  expect(await refusal(folder)).toBe(inUse);
  expect(claimsIn(folder)).toHaveLength(1);
  await first.app.stop();
  expect(claimsIn(folder)).toEqual([]);
  rmSync(join(folder, 'pglite'), { recursive: true }); // each start of the tests brings a database along
  expect(await refusal(folder)).toBeNull();
});

test('data directory: of starts at once over what a killed process left, one gets it', async () => {
  const claim = await ownClaim();
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  for (let round = 0; round < 3; round += 1) {
    const folder = newFolder();
    leaveClaim(folder, JSON.stringify({ ...claim, pid: child.pid }));
    const starts = await Promise.allSettled([1, 2].map(() => startService({ DATA_DIR: folder })));
    expect(starts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(claimsIn(folder)).toHaveLength(1);
  }
});

test('data directory: a pid that belongs to a later process now keeps no start out', async () => {
  const folder = newFolder();
  const claim = await ownClaim();
  keepTouching(folder, leaveClaim(folder, JSON.stringify({ ...claim, startedAt: 'before' })));
  expect(await refusal(folder)).toBeNull();
});

test('data directory: a process of another container with the same pid keeps it as long as it touches its claim', async () => {
  const folder = newFolder();
  const claim = { ...(await ownClaim()), place: 'elsewhere', host: 'elsewhere' };
  const name = leaveClaim(folder, JSON.stringify(claim));
  const stop = keepTouching(folder, name);
  expect(await refusal(folder)).toContain(`is in use by process ${process.pid} on elsewhere;`);
  expect(claimsIn(folder)).toEqual([name]);
  stop();
  expect(await refusal(folder)).toBeNull();
  expect(claimsIn(folder)).toEqual([]);
});

test('data directory: the holder touches its claim, and gives back its own only', async () => {
  const folder = newFolder();
  const { app } = await startService({ DATA_DIR: folder });
  const [name = ''] = claimsIn(folder);
  utimesSync(join(folder, name), new Date(0), new Date(0));
  const mtime = () => statSync(join(folder, name)).mtimeMs;
  await expect.poll(mtime, { timeout: 10_000 }).toBeGreaterThan(0);
  const other = leaveClaim(folder, '');
  await app.stop();
  expect(claimsIn(folder)).toEqual([other]);
});

test('data directory: one that is a file, or cannot be made, stops the start with a sentence', async () => {
  const file = join(newFolder(), 'file');
  writeFileSync(file, '');
  for (const path of [file, join(file, 'below')]) {
    expect(await refusal(path)).toBe(
      `DATA_DIR holds ${JSON.stringify(path)}, which is, or lies below, a file; a folder is expected.`,
    );
  }
  expect(await refusal(join(newFolder(), 'x'.repeat(300)))).toMatch(
    /^DATA_DIR holds ".+", which cannot be written \(ENAMETOOLONG\); a folder is expected\.$/,
  );
});
