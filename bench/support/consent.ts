/** Walks through the calendar provider's pages as a person would, and answers the URL that the browser is sent back to. It is not opened. */
export async function consentAt(authorizationUrl: string): Promise<string> {
  const { origin } = new URL(authorizationUrl);
  const cookies = new Map<string, string>();
  let url = authorizationUrl;
  let form: URLSearchParams | null = null;
  for (let step = 0; step < 10; step += 1) {
    const response: Response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form && { method: 'POST', body: form }),
    });
    await response.body?.cancel();
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    const location = response.headers.get('location');
    // the one page without a redirect asks who consents
    form = location === null ? new URLSearchParams({ account: 'blue', decision: 'allow' }) : null;
    url = new URL(location ?? url, url).href;
    if (new URL(url).origin !== origin) return url;
  }
  throw new Error('The calendar provider does not send the browser back.');
}
