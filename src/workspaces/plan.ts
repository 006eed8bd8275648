import { Plan } from '../db/generated/prisma/enums.ts';
import { PlanRequiredError } from './errors.ts';

const order = Object.keys(Plan) as Plan[];

/** The lowest plan that includes connectors, of either kind. */
export const connectorPlan: Plan = 'BUILDER';

/** The lowest plan on which providers can be switched off. */
const availabilityPlan: Plan = 'ENTERPRISE';

function includes(plan: Plan, lowest: Plan): boolean {
  return order.indexOf(plan) >= order.indexOf(lowest);
}

export function planIncludesConnectors(plan: Plan): boolean {
  return includes(plan, connectorPlan);
}

/** @throws PlanRequiredError where the plan does not include connectors. */
export function assertPlanIncludesConnectors(plan: Plan): void {
  if (!planIncludesConnectors(plan)) throw new PlanRequiredError(connectorPlan, plan);
}

/** @throws PlanRequiredError where the plan does not include switching providers off. */
export function assertPlanIncludesAvailability(plan: Plan): void {
  if (!includes(plan, availabilityPlan)) throw new PlanRequiredError(availabilityPlan, plan);
}
