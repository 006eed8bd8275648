import { Plan } from '../db/generated/prisma/enums.ts';
import { PlanRequiredError } from './errors.ts';

const order = Object.keys(Plan) as Plan[];

/** The lowest plan that includes connectors, of either kind. */
export const connectorPlan: Plan = 'BUILDER';

export function planIncludesConnectors(plan: Plan): boolean {
  return order.indexOf(plan) >= order.indexOf(connectorPlan);
}

/** @throws PlanRequiredError where the plan does not include connectors. */
export function assertPlanIncludesConnectors(plan: Plan): void {
  if (!planIncludesConnectors(plan)) throw new PlanRequiredError(connectorPlan, plan);
}
