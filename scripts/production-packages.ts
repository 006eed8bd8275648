import { readFileSync } from 'node:fs';

interface Entry {
  version: string;
  dev?: boolean;
  devOptional?: boolean;
  optional?: boolean;
  license?: string;
}

/** Of the lock file, what `npm ci --omit=dev --omit=optional` installs: by its path, such as `node_modules/graphql`. */
export function productionPackages(): [path: string, entry: Entry][] {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Entry> };
  return Object.entries(packages).filter(
    ([path, { dev, devOptional, optional }]) => path !== '' && !dev && !devOptional && !optional,
  );
}

/** `node_modules/a/node_modules/b` is b. */
export function nameAt(path: string): string {
  return path.replace(/^.*node_modules\//, '');
}
