-- CreateEnum
CREATE TYPE "AuditAct" AS ENUM ('WORKSPACE_CREATED', 'PLAN_SET', 'MEMBER_SET', 'MEMBER_REMOVED', 'WORKSPACE_KEY_CREATED', 'WORKSPACE_KEY_REVOKED', 'PROVIDER_AVAILABILITY_SET', 'APP_CREATED', 'APP_EDITED', 'APP_DELETED', 'APP_KEY_CREATED', 'APP_KEY_REVOKED', 'CONNECTOR_ADDED', 'CONNECTOR_EDITED', 'CONNECTOR_DELETED', 'ACCOUNT_CONNECTED', 'CONNECT_FAILED', 'ACCOUNT_DISCONNECTED', 'TOKEN_READ', 'TOKEN_REFRESHED', 'GRANT_REFUSED', 'GRANT_REVOKED');

-- CreateEnum
CREATE TYPE "AuditActorKind" AS ENUM ('OPERATOR', 'MEMBER', 'APP_USER', 'BACKEND_FUNCTION', 'SERVICE');

-- CreateTable
CREATE TABLE "audit_event" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "act" "AuditAct" NOT NULL,
    "outcome" TEXT NOT NULL,
    "actorKind" "AuditActorKind" NOT NULL,
    "actor" TEXT,
    "appId" TEXT,
    "connectorId" TEXT,
    "connectionId" TEXT,
    "targetId" TEXT,
    "details" JSONB NOT NULL DEFAULT '{}',
    "sequence" BIGINT,
    "hash" TEXT,

    CONSTRAINT "audit_event_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit_chain" (
    "id" TEXT NOT NULL,
    "checkpointSealed" TEXT NOT NULL,
    "sealedAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "audit_chain_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "audit_event_workspaceId_at_id_idx" ON "audit_event"("workspaceId", "at", "id");

-- CreateIndex
CREATE INDEX "audit_event_sequence_at_id_idx" ON "audit_event"("sequence", "at", "id");

-- CreateIndex
CREATE UNIQUE INDEX "audit_event_workspaceId_sequence_key" ON "audit_event"("workspaceId", "sequence");
