-- AlterTable
ALTER TABLE "connection" ADD COLUMN     "ownedBy" TEXT;

-- AlterTable
ALTER TABLE "pending_flow" ADD COLUMN     "startedBy" TEXT,
ADD COLUMN     "takeOver" BOOLEAN NOT NULL DEFAULT false;
