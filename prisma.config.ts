import { defineConfig } from 'prisma/config';

// `prisma generate` and `prisma validate` need no native engine, yet the CLI insists on one being there.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath;

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: process.env.DATABASE_URL ?? 'postgresql://localhost/app_user_connectors' },
});
