/**
 * A URL; null where the text is none. Not by `URL.canParse`: on Node 20 and 22 it refuses non-ASCII hosts once it has been called some
 * thousand times (nodejs/node#58023 mends it).
 */
export function parseUrl(text: string, base?: string): URL | null {
  try {
    return new URL(text, base);
  } catch {
    return null;
  }
}
