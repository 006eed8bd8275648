-- AlterEnum
ALTER TYPE "AuditAct" ADD VALUE 'CONNECTIONS_REVOKED';

-- AlterTable
ALTER TABLE "connector" ADD COLUMN     "grantsRevokedAt" TIMESTAMPTZ(3);

-- AlterTable
ALTER TABLE "outbox_item" ADD COLUMN     "grantsRevokedAt" TIMESTAMPTZ(3);
