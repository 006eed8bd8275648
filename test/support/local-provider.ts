import { type CalendarProvider, startCalendarProvider } from '../../examples/scheduling-app/calendar-provider.ts';

export { type CalendarProvider, startCalendarProvider };

export interface ConsentChoice {
  account?: 'blue' | 'green';
  decision?: 'allow' | 'deny';
  /** The scopes ticked on the consent page; all that were asked for, unless given. */
  scopes?: readonly string[];
}

/**
 * Walks through the calendar provider's pages as a person would, with a cookie jar of its own, and answers the URL the
 * provider sends the browser back to. That URL is not opened.
 */
export async function consentAt(authorizationUrl: string, choice: ConsentChoice = {}): Promise<string> {
  const { account = 'blue', decision = 'allow', scopes } = choice;
  const { origin } = new URL(authorizationUrl);
  const cookies = new Map<string, string>();
  let url = authorizationUrl;
  let form: URLSearchParams | null = null;

  for (let step = 0; step < 10; step += 1) {
    const response: Response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form ? { method: 'POST', body: form } : {}),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [name = '', value = ''] = (cookie.split(';')[0] ?? '').split(/=(.*)/s);
      cookies.set(name, value);
    }

    const location = response.headers.get('location');
    if (location) {
      await response.body?.cancel();
      const target = new URL(location, url);
      if (target.origin !== origin) return target.href;
      url = target.href;
      form = null;
    } else if (response.ok && form === null) {
      await response.body?.cancel();
      form = new URLSearchParams({ account, decision });
      if (scopes) {
        form.set('scope_choice', 'listed');
        for (const scope of scopes) form.append('scope', scope);
      }
    } else {
      throw new Error(`The calendar provider answered ${response.status}: ${await response.text()}`);
    }
  }
  throw new Error('The calendar provider redirects without end.');
}
