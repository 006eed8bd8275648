import { UnauthenticatedError } from './connector-error.ts';

/**
 * Answers the identity token of whoever is signed in; null where nobody is. Asked before every call, so an app that keeps its
 * token answers it at once. `rejectedToken` is a token that the service has refused: answer a fresh one then.
 */
export type GetToken = (asked: { rejectedToken: string | null }) => string | null | Promise<string | null>;

/**
 * Does something with the identity token; where the service refuses that, once more with a fresh one.
 *
 * @throws UnauthenticatedError where nobody is signed in, or the token is refused and there is no other
 */
export async function withIdentity<T>(getToken: GetToken, act: (token: string) => Promise<T>): Promise<T> {
  const token = await getToken({ rejectedToken: null });
  if (!token) throw new UnauthenticatedError();
  try {
    return await act(token);
  } catch (error) {
    if (!(error instanceof UnauthenticatedError)) throw error;
    const fresh = await getToken({ rejectedToken: token });
    if (!fresh || fresh === token) throw error;
    return act(fresh);
  }
}
