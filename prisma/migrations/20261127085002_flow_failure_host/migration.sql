-- AlterTable
ALTER TABLE "pending_flow" ADD COLUMN     "failureHost" TEXT;
