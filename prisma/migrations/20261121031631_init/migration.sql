-- CreateEnum
CREATE TYPE "Plan" AS ENUM ('FREE', 'STARTER', 'BUILDER', 'PRO', 'ELITE', 'ENTERPRISE');

-- CreateEnum
CREATE TYPE "WorkspaceRole" AS ENUM ('OWNER', 'ADMIN', 'EDITOR', 'VIEWER');

-- CreateEnum
CREATE TYPE "ConnectorKind" AS ENUM ('APP_USER', 'SHARED');

-- CreateEnum
CREATE TYPE "OriginKind" AS ENUM ('LIVE', 'CUSTOM', 'PREVIEW', 'SERVICE');

-- CreateEnum
CREATE TYPE "ConnectBinding" AS ENUM ('COOKIE', 'CODE');

-- CreateEnum
CREATE TYPE "OutboxKind" AS ENUM ('REVOKE_GRANT', 'REVOKE_ALL_GRANTS');

-- CreateEnum
CREATE TYPE "OutboxReceipt" AS ENUM ('REVOKED', 'UNSUPPORTED', 'GAVE_UP', 'SKIPPED_SHARED_GRANT');

-- CreateTable
CREATE TABLE "workspace" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "plan" "Plan" NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "workspace_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "workspace_member" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "role" "WorkspaceRole" NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "workspace_member_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "workspace_key" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "role" "WorkspaceRole" NOT NULL,
    "hash" TEXT NOT NULL,
    "prefix" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "revokedAt" TIMESTAMPTZ(3),

    CONSTRAINT "workspace_key_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "app" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "identityIssuer" TEXT NOT NULL,
    "identityAudience" TEXT NOT NULL,
    "identityJwksUrl" TEXT,
    "identitySecretSealed" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL,
    "deletedAt" TIMESTAMPTZ(3),

    CONSTRAINT "app_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "app_origin" (
    "id" TEXT NOT NULL,
    "appId" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "kind" "OriginKind" NOT NULL,
    "origin" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "claim" TEXT,

    CONSTRAINT "app_origin_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "app_key" (
    "id" TEXT NOT NULL,
    "appId" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "prefix" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "revokedAt" TIMESTAMPTZ(3),

    CONSTRAINT "app_key_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "connector" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "providerKey" TEXT NOT NULL,
    "kind" "ConnectorKind" NOT NULL,
    "name" TEXT NOT NULL,
    "clientId" TEXT,
    "clientSecretSealed" TEXT,
    "scopes" TEXT[],
    "connectionConfig" JSONB NOT NULL DEFAULT '[]',
    "custom" JSONB,
    "clientFingerprint" TEXT NOT NULL,
    "scopesFingerprint" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL,
    "deletedAt" TIMESTAMPTZ(3),

    CONSTRAINT "connector_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "connection" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "connectorId" TEXT NOT NULL,
    "appId" TEXT NOT NULL,
    "userId" TEXT,
    "clientFingerprint" TEXT NOT NULL,
    "scopesFingerprint" TEXT NOT NULL,
    "requestedScopes" TEXT[],
    "grantedScopes" TEXT[],
    "accountId" TEXT,
    "accountEmail" TEXT,
    "accountName" TEXT,
    "connectionConfig" JSONB NOT NULL DEFAULT '[]',
    "connectedAt" TIMESTAMPTZ(3) NOT NULL,
    "lastRefreshedAt" TIMESTAMPTZ(3),
    "lastVerifiedAt" TIMESTAMPTZ(3),
    "refusedAt" TIMESTAMPTZ(3),
    "grantExpiresAt" TIMESTAMPTZ(3),
    "disconnectedAt" TIMESTAMPTZ(3),

    CONSTRAINT "connection_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "credential" (
    "connectionId" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "accessTokenSealed" TEXT NOT NULL,
    "refreshTokenSealed" TEXT,
    "tokenType" TEXT NOT NULL,
    "issuedAt" TIMESTAMPTZ(3) NOT NULL,
    "accessTokenExpiresAt" TIMESTAMPTZ(3),
    "fingerprint" TEXT NOT NULL,
    "leaseToken" TEXT,
    "leaseUntil" TIMESTAMPTZ(3),
    "attemptedAt" TIMESTAMPTZ(3),
    "failures" INTEGER NOT NULL DEFAULT 0,
    "retryAt" TIMESTAMPTZ(3),

    CONSTRAINT "credential_pkey" PRIMARY KEY ("connectionId")
);

-- CreateTable
CREATE TABLE "pending_flow" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "connectorId" TEXT NOT NULL,
    "appId" TEXT NOT NULL,
    "userId" TEXT,
    "stateHash" TEXT NOT NULL,
    "binding" "ConnectBinding" NOT NULL,
    "cookieHash" TEXT,
    "redirectUri" TEXT NOT NULL,
    "returnTo" TEXT,
    "codeVerifierSealed" TEXT NOT NULL,
    "nonce" TEXT,
    "clientFingerprint" TEXT NOT NULL,
    "scopesFingerprint" TEXT NOT NULL,
    "requestedScopes" TEXT[],
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "usedAt" TIMESTAMPTZ(3),
    "responseSealed" TEXT,
    "connectCodeHash" TEXT,
    "connectCodeExpiresAt" TIMESTAMPTZ(3),

    CONSTRAINT "pending_flow_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "outbox_item" (
    "id" TEXT NOT NULL,
    "kind" "OutboxKind" NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "connectorId" TEXT,
    "appId" TEXT,
    "connectionId" TEXT,
    "accountId" TEXT,
    "tokensSealed" TEXT,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "dueAt" TIMESTAMPTZ(3),
    "leaseUntil" TIMESTAMPTZ(3),
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "doneAt" TIMESTAMPTZ(3),
    "receipt" "OutboxReceipt",

    CONSTRAINT "outbox_item_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "workspace_member_subject_idx" ON "workspace_member"("subject");

-- CreateIndex
CREATE UNIQUE INDEX "workspace_member_workspaceId_subject_key" ON "workspace_member"("workspaceId", "subject");

-- CreateIndex
CREATE UNIQUE INDEX "workspace_key_hash_key" ON "workspace_key"("hash");

-- CreateIndex
CREATE INDEX "workspace_key_workspaceId_createdAt_idx" ON "workspace_key"("workspaceId", "createdAt");

-- CreateIndex
CREATE INDEX "app_workspaceId_createdAt_idx" ON "app"("workspaceId", "createdAt");

-- CreateIndex
CREATE INDEX "app_origin_origin_idx" ON "app_origin"("origin");

-- CreateIndex
CREATE UNIQUE INDEX "app_origin_appId_origin_key" ON "app_origin"("appId", "origin");

-- CreateIndex
CREATE UNIQUE INDEX "app_origin_workspaceId_claim_key" ON "app_origin"("workspaceId", "claim");

-- CreateIndex
CREATE UNIQUE INDEX "app_key_hash_key" ON "app_key"("hash");

-- CreateIndex
CREATE INDEX "app_key_appId_createdAt_idx" ON "app_key"("appId", "createdAt");

-- CreateIndex
CREATE INDEX "connector_workspaceId_createdAt_idx" ON "connector"("workspaceId", "createdAt");

-- CreateIndex
CREATE INDEX "connection_connectorId_appId_idx" ON "connection"("connectorId", "appId");

-- CreateIndex
CREATE INDEX "connection_appId_userId_idx" ON "connection"("appId", "userId");

-- CreateIndex
CREATE UNIQUE INDEX "pending_flow_stateHash_key" ON "pending_flow"("stateHash");

-- CreateIndex
CREATE UNIQUE INDEX "pending_flow_connectCodeHash_key" ON "pending_flow"("connectCodeHash");

-- CreateIndex
CREATE INDEX "pending_flow_expiresAt_idx" ON "pending_flow"("expiresAt");

-- CreateIndex
CREATE INDEX "pending_flow_appId_userId_idx" ON "pending_flow"("appId", "userId");

-- CreateIndex
CREATE INDEX "outbox_item_doneAt_dueAt_idx" ON "outbox_item"("doneAt", "dueAt");

-- CreateIndex
CREATE INDEX "outbox_item_connectionId_idx" ON "outbox_item"("connectionId");

-- AddForeignKey
ALTER TABLE "workspace_member" ADD CONSTRAINT "workspace_member_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "workspace"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "workspace_key" ADD CONSTRAINT "workspace_key_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "workspace"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "app" ADD CONSTRAINT "app_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "workspace"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "app_origin" ADD CONSTRAINT "app_origin_appId_fkey" FOREIGN KEY ("appId") REFERENCES "app"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "app_key" ADD CONSTRAINT "app_key_appId_fkey" FOREIGN KEY ("appId") REFERENCES "app"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "connector" ADD CONSTRAINT "connector_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "workspace"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "connection" ADD CONSTRAINT "connection_connectorId_fkey" FOREIGN KEY ("connectorId") REFERENCES "connector"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "connection" ADD CONSTRAINT "connection_appId_fkey" FOREIGN KEY ("appId") REFERENCES "app"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "credential" ADD CONSTRAINT "credential_connectionId_fkey" FOREIGN KEY ("connectionId") REFERENCES "connection"("id") ON DELETE CASCADE ON UPDATE CASCADE;
