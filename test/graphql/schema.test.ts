import { readFileSync } from 'node:fs';
import { type GraphQLNamedType, isEnumType, isInputObjectType, isInterfaceType, isObjectType } from 'graphql';
import { expect, test } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';

const types = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith('__'));

/** Everything in a type that a reader of the schema meets, with what it says of itself. */
function parts(type: GraphQLNamedType): [string, string | null | undefined][] {
  const own: [string, string | null | undefined][] = [[type.name, type.description]];
  if (isEnumType(type)) {
    return [
      ...own,
      ...type
        .getValues()
        .map(({ name, description }) => [`${type.name}.${name}`, description] as [string, typeof description]),
    ];
  }
  if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) return own;
  for (const field of Object.values(type.getFields())) {
    own.push([`${type.name}.${field.name}`, field.description]);
    if ('args' in field) {
      for (const arg of field.args) own.push([`${type.name}.${field.name}(${arg.name})`, arg.description]);
    }
  }
  return own;
}

test('every type, field, argument and enum value has a description', () => {
  const silent = types.flatMap(parts).filter(([, description]) => !description);
  expect(silent).toEqual([]);
});

test('every mutation answers a union of its own payload and errors that are UserErrors, and takes one input', () => {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    const name = `${field.name[0]?.toUpperCase()}${field.name.slice(1)}`;
    expect(String(field.type)).toBe(`${name}Result!`);
    expect(field.args.map(({ name: arg, type }) => `${arg}: ${String(type)}`)).toEqual([`input: ${name}Input!`]);
    const union = schema.getType(`${name}Result`);
    if (!union || !('getTypes' in union)) throw new Error(`${name}Result is no union`);
    const members = union.getTypes();
    const errors = members.filter((member) => member.getInterfaces().some((own) => own.name === 'UserError'));
    expect(members.filter((member) => !errors.includes(member)).map(String)).toEqual([`${name}Payload`]);
  }
});

test('the names of CONTRACT that programs are written against are in the schema', () => {
  const printed = readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8');
  for (const line of [
    'currentAppUserConnection(',
    'availableConnectors: [Connector!]!',
    'viewer: Viewer!',
    'union CurrentAppUserConnectionResult =',
    'input AppIdentityInput @oneOf',
    'input CustomProviderInput @oneOf',
    'connectionStatus(',
    'acceptOutdatedScopes: Boolean = false',
    'kind: ConnectorKind = APP_USER',
    'clientAuthentication: ClientAuthentication = CLIENT_SECRET_POST',
    'confirm: Boolean! = false',
    'redirectUrl: URL!',
  ]) {
    expect(printed).toContain(line);
  }
});
