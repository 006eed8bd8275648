-- CreateTable
CREATE TABLE "provider_availability" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "providerKey" TEXT NOT NULL,
    "kind" "ConnectorKind" NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "provider_availability_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "provider_availability_workspaceId_providerKey_kind_key" ON "provider_availability"("workspaceId", "providerKey", "kind");

-- AddForeignKey
ALTER TABLE "provider_availability" ADD CONSTRAINT "provider_availability_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "workspace"("id") ON DELETE CASCADE ON UPDATE CASCADE;
