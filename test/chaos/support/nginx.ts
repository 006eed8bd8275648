import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { freePort } from '../../support/ports.ts';

const program = ['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/bin/nginx'].find((path) => existsSync(path));

/** Whether nginx is missing. Where it must be there, a run without it fails. */
export function nginxIsMissing(): boolean {
  if (program) return false;
  const sentence = 'nginx is not installed: the tests behind it are skipped.';
  if (process.env.CI || process.env.REQUIRE_SERVICES) throw new Error(sentence);
  process.stdout.write(`${sentence}\n`);
  return true;
}

export interface Nginx {
  port: number;
  accessLog(): string;
}

/** Runs ops/nginx.conf as it is, but for where it finds the instances, where it listens and where it logs. */
export async function startNginx(instances: readonly [string, string]): Promise<Nginx> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'app-user-connectors-'));
  chmodSync(folder, 0o777);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  let site = readFileSync(new URL('../../../ops/nginx.conf', import.meta.url), 'utf8');
  for (const [written, here] of [
    ['one:4000', new URL(instances[0]).host],
    ['two:4000', new URL(instances[1]).host],
    ['listen 8080', `listen 127.0.0.1:${port}`],
    ['/var/log/nginx', folder],
  ] as const) {
    if (!site.includes(written)) throw new Error(`ops/nginx.conf has no ${written}`);
    site = site.replaceAll(written, here);
  }
  writeFileSync(join(folder, 'site.conf'), site);
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http { ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ')} include ${folder}/site.conf; }`,
  );
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'TERM', program ?? '', '-p', folder, '-e', `${folder}/error.log`, '-c', join(folder, 'nginx.conf')],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const exited = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  const answers = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
  await vi.waitUntil(answers, { timeout: 20_000, interval: 50 });
  return { port, accessLog: () => readFileSync(join(folder, 'access.log'), 'utf8') };
}
