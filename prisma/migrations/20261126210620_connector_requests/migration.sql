-- CreateEnum
CREATE TYPE "ConnectorRequestStatus" AS ENUM ('OPEN', 'POSTPONED', 'APPROVED', 'REJECTED');

-- AlterEnum
ALTER TYPE "AuditAct" ADD VALUE 'CONNECTOR_REQUESTED';
ALTER TYPE "AuditAct" ADD VALUE 'CONNECTOR_REQUEST_REJECTED';

-- CreateTable
CREATE TABLE "connector_request" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "tokenHash" TEXT NOT NULL,
    "connectorId" TEXT NOT NULL,
    "requestedBy" TEXT NOT NULL,
    "assistant" TEXT NOT NULL,
    "proposal" JSONB NOT NULL,
    "status" "ConnectorRequestStatus" NOT NULL DEFAULT 'OPEN',
    "createdAt" TIMESTAMPTZ(3) NOT NULL,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "decidedAt" TIMESTAMPTZ(3),

    CONSTRAINT "connector_request_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "connector_request_tokenHash_key" ON "connector_request"("tokenHash");

-- CreateIndex
CREATE INDEX "connector_request_workspaceId_expiresAt_idx" ON "connector_request"("workspaceId", "expiresAt");

-- CreateIndex
CREATE INDEX "connector_request_expiresAt_idx" ON "connector_request"("expiresAt");
