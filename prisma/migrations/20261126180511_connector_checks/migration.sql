-- AlterEnum
ALTER TYPE "AuditAct" ADD VALUE 'CONNECTOR_CHECKED';

-- AlterTable
ALTER TABLE "connector" ADD COLUMN     "checksFillUntil" TIMESTAMPTZ(3);

-- AlterTable
ALTER TABLE "pending_flow" ADD COLUMN     "failure" TEXT;

-- CreateIndex
CREATE INDEX "connection_connectorId_connectedAt_idx" ON "connection"("connectorId", "connectedAt");

-- CreateIndex
CREATE INDEX "pending_flow_connectorId_redirectUri_createdAt_idx" ON "pending_flow"("connectorId", "redirectUri", "createdAt");
