-- DropIndex
DROP INDEX "connection_connectorId_accountId_idx";

-- CreateIndex
CREATE INDEX "connection_accountId_clientFingerprint_idx" ON "connection"("accountId", "clientFingerprint");

-- CreateIndex
CREATE INDEX "outbox_item_accountId_idx" ON "outbox_item"("accountId");
