import { field, operatorKey, type Service } from './harness.ts';

export const operator = { authorization: `Bearer ${operatorKey}` };

const confirmation = `... on ConfirmationRequiredError { affectedUsers affectedConnections { app { id } count } }
  ... on ValidationError { fields { path } } ... on UserError { code message }`;

export type OperatorAnswer = Record<string, unknown> & { __typename: string };

/** Gives the service a client of the operator's; confirmed unless `input` says otherwise. */
export async function setOperatorClient(
  service: Service,
  input: { providerKey: string; clientId: string; clientSecret: string } & Record<string, unknown>,
  headers: Record<string, string> = operator,
): Promise<OperatorAnswer> {
  const answer = await service.graphql(
    `mutation ($input: SetOperatorClientInput!) { setOperatorClient(input: $input) { __typename
       ... on SetOperatorClientPayload { operatorClient { clientId provider { key } redirectUris { kind uri } } notices { path } }
       ${confirmation} } }`,
    { input: { confirm: true, ...input } },
    headers,
  );
  return field<Record<string, unknown>>(answer, 'setOperatorClient');
}

export async function removeOperatorClient(
  service: Service,
  providerKey: string,
  confirm = true,
): Promise<OperatorAnswer> {
  const answer = await service.graphql(
    `mutation ($input: RemoveOperatorClientInput!) { removeOperatorClient(input: $input) { __typename
       ... on RemoveOperatorClientPayload { removedProviderKey } ${confirmation} } }`,
    { input: { providerKey, confirm } },
    operator,
  );
  return field<Record<string, unknown>>(answer, 'removeOperatorClient');
}
