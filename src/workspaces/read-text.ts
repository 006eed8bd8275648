import { ValidationError } from './errors.ts';

/**
 * A one-line text for people, trimmed.
 * @throws ValidationError where it is empty, too long or holds control characters.
 */
export function readText(value: string, path: string, label: string, maxLength = 100): string {
  const text = value.trim();
  if (text === '') throw new ValidationError([{ path, message: `${label} is needed.` }]);
  if (text.length > maxLength)
    throw new ValidationError([{ path, message: `${label} has at most ${maxLength} characters.` }]);
  if (/\p{Cc}/u.test(text)) {
    throw new ValidationError([{ path, message: `${label} cannot contain line breaks or control characters.` }]);
  }
  return text;
}
