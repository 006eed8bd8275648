-- DropIndex
DROP INDEX "connection_connectorId_appId_idx";

-- CreateIndex
CREATE INDEX "connection_connectorId_disconnectedAt_appId_idx" ON "connection"("connectorId", "disconnectedAt", "appId");

-- CreateIndex
CREATE INDEX "connection_appId_disconnectedAt_idx" ON "connection"("appId", "disconnectedAt");
