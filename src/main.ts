import { randomBytes } from 'node:crypto';
import { createApp } from './app.ts';
import { parseConfig } from './config.ts';
import { Secret } from './lib/secret.ts';
import { StartupError } from './lib/startup-error.ts';

/** Longer than the longest request, which waits for its provider. */
const longestStopMs = 45_000;

try {
  const config = parseConfig(process.env);
  const generated = config.operatorKey ? null : randomBytes(24).toString('base64url');
  const app = await createApp(generated ? { ...config, operatorKey: new Secret(generated) } : config);
  const { url } = await app.listen();
  if (generated) process.stdout.write(`OPERATOR_KEY of this run: ${generated}\n`);
  process.stdout.write(`Listening on ${url}\n`);
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(1), longestStopMs).unref(); // what is left then waits for what does not answer
    app.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
} catch (error) {
  // a sentence for the operator; everything else is a bug, and shows where it is
  const text =
    error instanceof StartupError
      ? error.message
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error);
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
