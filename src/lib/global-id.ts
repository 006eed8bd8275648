/** An id that is unique over all types, and safe as one segment of a URL path. */
export function globalId(type: string, id: string): string {
  return `${type}_${id}`;
}

/** Takes a global id apart; null where the text is of no such form. */
export function parseGlobalId(text: string): { typename: string; id: string } | null {
  const match = /^([A-Za-z]+)_([A-Za-z0-9_.-]{1,200})$/.exec(text);
  return match?.[1] && match[2] ? { typename: match[1], id: match[2] } : null;
}

/** The id inside a global id of the given type; null for anything else, so that it is looked up like an id that does not exist. */
export function idOf(type: string, text: string): string | null {
  const parsed = parseGlobalId(text);
  return parsed?.typename === type ? parsed.id : null;
}
