-- CreateIndex
CREATE INDEX "connection_connectorId_accountId_idx" ON "connection"("connectorId", "accountId");
