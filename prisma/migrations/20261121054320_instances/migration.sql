-- CreateEnum
CREATE TYPE "ConnectorRefusal" AS ENUM ('INVALID_CLIENT', 'INVALID_SCOPE', 'REDIRECT_URI_MISMATCH');

-- AlterTable
ALTER TABLE "connector" ADD COLUMN     "refusal" "ConnectorRefusal",
ADD COLUMN     "refusedAt" TIMESTAMPTZ(3);

-- CreateIndex
CREATE INDEX "credential_issuedAt_idx" ON "credential"("issuedAt");

-- CreateIndex
CREATE INDEX "outbox_item_connectorId_doneAt_idx" ON "outbox_item"("connectorId", "doneAt");
