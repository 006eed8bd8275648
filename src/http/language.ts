/** The language that an Accept-Language header asks for most (RFC 9110 12.5.4), of those that there are; the first of them where it asks for none. */
export function preferredLanguage<T extends string>(header: string | null, languages: readonly [T, ...T[]]): T {
  const ranges = (header ?? '').slice(0, 1000).split(',').map(readRange);
  ranges.sort((a, b) => b.weight - a.weight); // what weighs the same keeps its order
  for (const { tag, weight } of ranges) {
    if (weight <= 0) continue;
    if (tag === '*') return languages[0];
    const match = languages.find((language) => tag === language || tag.startsWith(`${language}-`));
    if (match !== undefined) return match;
  }
  return languages[0];
}

function readRange(range: string): { tag: string; weight: number } {
  const [tag = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
  return { tag, weight: Number(weight) || 0 };
}
