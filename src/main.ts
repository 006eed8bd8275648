import { randomBytes } from 'node:crypto';
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';
import { createApp } from './app.ts';
import { type Config, parseConfig } from './config.ts';
import { createLogger, flushLog, type Logger } from './lib/logger.ts';
import { Secret } from './lib/secret.ts';
import { StartupError } from './lib/startup-error.ts';
import { startWorkers } from './workers.ts';

/** Longer than the longest request, which waits for its provider, after the time that idle connections are given. */
const longestStopMs = 45_000;

interface Serving {
  /** Where, in words. */
  at: string;
  /** Answers whether all that was under way has finished. */
  stop(signal: NodeJS.Signals): Promise<boolean>;
}

/** The service in this process. */
async function serve(config: Config, log: Logger): Promise<Serving> {
  const app = await createApp(config, { log });
  const { url } = await app.listen();
  return {
    at: url,
    async stop(signal) {
      setTimeout(() => process.exit(1), longestStopMs).unref(); // what is left then waits for what does not answer
      await app.stop({ graceful: signal === 'SIGTERM' });
      return true;
    },
  };
}

/** The service in processes of its own, which this one minds. */
async function serveByWorkers(config: Config, env: Record<string, string>, log: Logger): Promise<Serving> {
  const workers = await startWorkers({
    count: config.workers,
    entry: fileURLToPath(import.meta.url),
    env,
    log,
  });
  process.on('SIGHUP', () => void workers.restart());
  return { at: `http://localhost:${workers.port}`, stop: () => workers.stop() };
}

try {
  const config = parseConfig(process.env);
  const log = createLogger(config.logLevel);
  // a fatal line takes with it what has not been written; Node then ends the process, and prints the stack
  process.on('uncaughtExceptionMonitor', (err) => log.fatal({ err }, 'a bug ends this process'));
  const generated = config.operatorKey ? null : randomBytes(24).toString('base64url');
  const whole = generated ? { ...config, operatorKey: new Secret(generated) } : config;
  const isMany = config.workers > 1 && cluster.isPrimary;
  const serving = await (isMany
    ? serveByWorkers(config, generated ? { OPERATOR_KEY: generated } : {}, log)
    : serve(whole, log));
  if (generated) process.stdout.write(`OPERATOR_KEY of this run: ${generated}\n`);
  if (cluster.isPrimary) process.stdout.write(`Listening on ${serving.at}\n`);
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    void serving
      .stop(signal)
      .catch(() => false)
      .then(async (finished) => {
        await flushLog(log);
        process.exit(finished ? 0 : 1);
      });
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
