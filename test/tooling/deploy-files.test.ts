import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { variables } from '../../src/config.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(`${root}/${path}`, 'utf8');

interface ComposeService {
  build?: string;
  environment?: Record<string, string>;
  depends_on?: string[] | Record<string, { condition: string }>;
  volumes?: string[];
}

test('the image: what the Dockerfile copies is there and let through, and it runs as nobody in particular', () => {
  const dockerfile = read('Dockerfile');
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths]) => paths!.split(' '));
  expect(copied).toEqual(expect.arrayContaining(['prisma/migrations', '.npmrc'])); // without the latter install scripts would run
  const ignored = read('.dockerignore').split('\n');
  expect(ignored[0]).toBe('*');
  for (const path of copied.filter((name) => name !== '.')) {
    expect([path, existsSync(`${root}/${path}`)]).toEqual([path, true]);
    expect(ignored).toContain(`!${path.split('/')[0]}`);
  }
  const made = [...dockerfile.matchAll(/^COPY --from=(\w+) \/app\/(\S+)/gm)].map(([, stage, path]) => [stage, path]);
  expect(made).toEqual([
    ['dependencies', 'node_modules'],
    ['build', 'dist'],
  ]);
  const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
  expect(last).toMatch(/^USER node$/m);
  expect(last).toMatch(/^HEALTHCHECK /m);
  expect(dockerfile).toContain('npm ci --omit=dev --omit=optional');
});

test('the image: its build finds all it needs among the files that are let through', () => {
  const context = mkdtempSync(join(tmpdir(), 'image-'));
  onTestFinished(() => rmSync(context, { recursive: true }));
  const lines = read('.dockerignore').trim().split('\n');
  const ignored = new Set(lines.filter((line) => !line.startsWith('!')));
  const through = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  for (const path of readdirSync(root)) {
    if (!through.includes(path)) continue;
    cpSync(join(root, path), join(context, path), {
      recursive: true,
      filter: (source) => !ignored.has(relative(root, source)),
    });
  }
  symlinkSync(join(root, 'node_modules'), join(context, 'node_modules'));
  const { status, stdout, stderr } = spawnSync('npm', ['run', 'build'], { cwd: context, encoding: 'utf8' });
  expect([status, status === 0 ? '' : stdout + stderr]).toEqual([0, '']);
  for (const path of ['dist/main.js', 'dist/migrate.js']) expect(existsSync(join(context, path))).toBe(true);
});

test('compose.yaml: its services name only variables that the service reads, files that are there, and one another', () => {
  const { services } = parse(read('compose.yaml'), { merge: true }) as { services: Record<string, ComposeService> };
  expect(Object.keys(services).toSorted()).toEqual(['migrate', 'nginx', 'one', 'postgres', 'redis', 'two']);
  for (const { build, environment = {}, depends_on: needs = [], volumes = [] } of Object.values(services)) {
    if (build) expect(Object.keys(variables)).toEqual(expect.arrayContaining(Object.keys(environment)));
    for (const name of Array.isArray(needs) ? needs : Object.keys(needs)) expect(services).toHaveProperty(name);
    for (const path of volumes.filter((volume) => volume.startsWith('./'))) {
      expect(existsSync(`${root}/${path.split(':')[0]}`)).toBe(true);
    }
  }
  const hosts = [...read('ops/nginx.conf').matchAll(/^ +server (\w+):4000\b/gm)].map(([, host]) => host);
  expect(hosts).toEqual(['one', 'two']);
});

test('the systemd unit is one that systemd understands', (context) => {
  const unit = 'ops/app-user-connectors.service';
  expect(read(unit)).toMatch(/^NoNewPrivileges=yes$/m);
  const { error, status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], {
    cwd: root,
    encoding: 'utf8',
  });
  context.skip(error !== undefined, 'systemd-analyze is not installed');
  expect([status, stderr.includes('Unknown')]).toEqual([0, false]);
});

test('docs/operations.md has every environment variable of the service, with its default and purpose, and no other', () => {
  const rows = [...read('docs/operations.md').matchAll(/^\| `([A-Z_]+)` +\|(.*?)\|(.*)\|$/gm)];
  const told = rows.map(([, name, fallback, purpose]) => [name, fallback!.trim(), purpose!.trim()]);
  expect(told).toEqual(
    Object.entries(variables).map(([name, { default: fallback, purpose }]) => [name, fallback, purpose]),
  );
});
