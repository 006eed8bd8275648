import { spawnSync } from 'node:child_process';

/** Builds what the processes run. */
export function setup(): void {
  const { status } = spawnSync('npm run --silent build', { shell: true, stdio: 'inherit' });
  if (status !== 0) throw new Error('The service does not build.');
}
