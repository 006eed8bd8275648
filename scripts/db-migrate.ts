/** Applies the migrations that DATABASE_URL still lacks. */
import { migratePostgres } from '../src/db/migrate.ts';

const databaseUrl = process.env.DATABASE_URL;
if (!databaseUrl) {
  console.error(
    'DATABASE_URL is not set: it names the PostgreSQL database to migrate, such as postgresql://user@host/name.',
  );
  process.exit(1);
}
try {
  const applied = await migratePostgres(databaseUrl);
  for (const name of applied) console.log(`applied ${name}`);
  if (applied.length === 0) console.log('The database is up to date.');
} catch (error) {
  console.error(`The database could not be migrated: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
