// Applies the migrations that DATABASE_URL still lacks, from what is built: where there are no sources, as in the image.
const { migratePostgres } = await import(new URL('../dist/migrate.js', import.meta.url).href);

const databaseUrl = process.env.DATABASE_URL;
if (!databaseUrl) {
  console.error('DATABASE_URL is not set: it names the PostgreSQL database to migrate.');
  process.exit(1);
}
try {
  const applied = await migratePostgres(databaseUrl);
  console.log(applied.length > 0 ? `applied ${applied.join(', ')}` : 'The database is up to date.');
} catch (error) {
  console.error(`The database could not be migrated: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
