import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/**
 * The client library as one module for the page. An app that is built imports `app-user-connectors/client` and lets its own
 * bundler do this.
 */
export async function bundleClient(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('../../src/client/client.ts', import.meta.url))],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    minify: true,
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}
