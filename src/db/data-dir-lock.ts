import { randomInt, randomUUID } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { StartupError } from '../lib/startup-error.ts';

const claimPattern = /^lock\.[0-9a-f-]{36}$/;
const beatMs = 2_000;
/** A process that has not touched its claim for so long is gone. */
const silenceMs = 10_000;
const maxTurns = 4;

/** Who claims a data directory. */
const claimShape = z.object({
  pid: z.int(),
  host: z.string(),
  /** Where the pid means this process: two containers have equal pids, and perhaps equal host names. */
  place: z.string(),
  /** Tells this process from a later one with the same pid; null where the system does not say. */
  startedAt: z.string().nullable(),
});
type Claim = z.infer<typeof claimShape>;

/**
 * Makes a data directory this process's own, since two would corrupt it. Each process writes a claim of its own and then looks for
 * others: of any number that start at once, no two can miss each other. A claim's name is never used again, so whoever removes a
 * dead one, at whatever moment, removes no other. Answers what gives the directory back.
 * @throws StartupError where another process has it, or it cannot be written.
 */
export async function lockDataDir(dataDir: string): Promise<() => void> {
  const file = join(dataDir, `lock.${randomUUID()}`);
  for (let turn = 1; ; turn += 1) {
    writeClaim(dataDir, file);
    const holder = await findHolder(dataDir, file);
    if (holder === null) break;
    rmSync(file, { force: true });
    if (turn === maxTurns) throw inUse(dataDir, holder);
    await wait(randomInt(300)); // the other may be starting as well, and have found this one
  }
  const beat = setInterval(() => touch(file), beatMs).unref();
  return () => {
    clearInterval(beat);
    rmSync(file, { force: true });
  };
}

function writeClaim(dataDir: string, file: string): void {
  const claim: Claim = { pid: process.pid, host: hostname(), place: place(), startedAt: startOf(process.pid) };
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    writeFileSync(file, JSON.stringify(claim), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const fault = code === 'EEXIST' || code === 'ENOTDIR' ? 'is, or lies below, a file' : `cannot be written (${code})`;
    throw new StartupError(`DATA_DIR holds ${JSON.stringify(dataDir)}, which ${fault}; a folder is expected.`);
  }
}

function inUse(dataDir: string, holder: Claim | 'unknown'): StartupError {
  const elsewhere = holder !== 'unknown' && holder.place !== place() ? ` on ${holder.host}` : '';
  const who = holder === 'unknown' ? 'another process' : `process ${holder.pid}${elsewhere}`;
  return new StartupError(`DATA_DIR ${dataDir} is in use by ${who}; more than one process needs DATABASE_URL.`);
}

/** Another process that lives and claims the directory. Claims of dead ones are removed. */
async function findHolder(dataDir: string, own: string): Promise<Claim | 'unknown' | null> {
  for (const name of readdirSync(dataDir).filter((entry) => claimPattern.test(entry))) {
    const file = join(dataDir, name);
    if (file === own) continue;
    const claim = readClaim(file);
    if (claimIsDead(claim) ?? (await isSilent(file))) rmSync(file, { force: true });
    else return claim ?? 'unknown';
  }
  return null;
}

function readClaim(file: string): Claim | null {
  try {
    return claimShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null; // gone, or not written to its end yet
  }
}

/** Null where that cannot be told from here. */
function claimIsDead(claim: Claim | null): boolean | null {
  if (claim?.place !== place()) return null;
  if (!pidIsTaken(claim.pid)) return true;
  const startedAt = startOf(claim.pid);
  return startedAt === null || claim.startedAt === null ? null : startedAt !== claim.startedAt;
}

/** Watches a claim until it is touched, or has not been for long. Compares no clocks. */
async function isSilent(file: string): Promise<boolean> {
  const touchedAt = () => statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  const first = touchedAt();
  for (let waitedMs = 0; waitedMs < silenceMs; waitedMs += 200) {
    await wait(200);
    const now = touchedAt();
    if (now === undefined) return true;
    if (now !== first) return false;
  }
  return true;
}

function touch(file: string): void {
  try {
    utimesSync(file, new Date(), new Date());
  } catch {
    // removed by somebody: there is nothing that could be done here
  }
}

function pidIsTaken(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function place(): string {
  return `${hostname()} ${orNull(() => readlinkSync('/proc/self/ns/pid')) ?? ''}`;
}

/** When a process started, in whatever unit: the boot, and the clock ticks since (proc(5), field 22). A zombie has ended. */
function startOf(pid: number): string | null {
  return orNull(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return fields[0] === 'Z' || fields[0] === 'X' ? 'ended' : `${boot} ${fields[19]}`;
  });
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
