-- CreateIndex
CREATE INDEX "connection_connectorId_id_idx" ON "connection"("connectorId", "id");
