-- AlterEnum
-- This migration adds more than one value to an enum.
-- With PostgreSQL versions 11 and earlier, this is not possible
-- in a single migration. This can be worked around by creating
-- multiple migrations, each migration adding only one value to
-- the enum.


ALTER TYPE "AuditAct" ADD VALUE 'OPERATOR_CLIENT_SET';
ALTER TYPE "AuditAct" ADD VALUE 'OPERATOR_CLIENT_REMOVED';

-- AlterTable
ALTER TABLE "connector" ADD COLUMN     "operatorClientId" TEXT;

-- CreateTable
CREATE TABLE "operator_client" (
    "providerKey" TEXT NOT NULL,
    "clientId" TEXT NOT NULL,
    "clientSecretSealed" TEXT NOT NULL,
    "connectionConfig" JSONB NOT NULL DEFAULT '[]',
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "operator_client_pkey" PRIMARY KEY ("providerKey")
);

-- CreateIndex
CREATE INDEX "connector_providerKey_kind_idx" ON "connector"("providerKey", "kind");
