import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  buildAuthorizationUrl,
  keptFromCallback,
  newNonce,
  newPkce,
  newState,
  readAuthorizationResponse,
  RESERVED_AUTHORIZATION_PARAMS,
} from '../../src/oauth/authorization.ts';
import { OAuthError } from '../../src/oauth/failure.ts';
import { searchProviders } from '../../src/providers/catalogue.ts';
import { serverFixture } from './support/server-fixture.ts';

const request = {
  clientId: 'client 1',
  redirectUri: 'https://app.example/api/external-auth/callback',
  scopes: ['a', 'b:c'],
  state: 'STATE',
  codeChallenge: 'CHALLENGE',
  nonce: null,
};

test('the authorization URL of every provider', () => {
  const urls = searchProviders(null).map(({ key, server }) => [key, buildAuthorizationUrl({ ...request, server })]);
  expect(Object.fromEntries(urls)).toMatchInlineSnapshot(`
    {
      "airtable": "https://airtable.com/oauth2/v1/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "asana": "https://app.asana.com/-/oauth_authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "atlassian": "https://auth.atlassian.com/authorize?audience=api.atlassian.com&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "bamboohr": "https://{companydomain}.bamboohr.com/authorize.php?request=authorize&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "bitbucket": "https://bitbucket.org/site/oauth2/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "box": "https://account.box.com/api/oauth2/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "calendly": "https://auth.calendly.com/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "clickup": "https://app.clickup.com/api?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "contentful": "https://be.contentful.com/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "databricks": "https://{workspace}.cloud.databricks.com/oidc/v1/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "discord": "https://discord.com/api/oauth2/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "docusign": "https://{environment}.docusign.com/oauth/auth?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "dropbox": "https://www.dropbox.com/oauth2/authorize?token_access_type=offline&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "figma": "https://www.figma.com/oauth?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%2Cb%3Ac&state=STATE",
      "github": "https://github.com/login/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "gitlab": "https://gitlab.com/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "gmail": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "google_analytics": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "google_classroom": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "google_search_console": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "googleads": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "googlebigquery": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "googlecalendar": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "googledocs": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "googledrive": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "googlemeet": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "googlesheets": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "googleslides": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "googletasks": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "hubspot": "https://app.hubspot.com/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "hugging_face": "https://huggingface.co/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "instagram": "https://www.instagram.com/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%2Cb%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "intercom": "https://app.intercom.com/oauth?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "klaviyo": "https://www.klaviyo.com/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "linear": "https://linear.app/oauth/authorize?prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%2Cb%3Ac&state=STATE",
      "linkedin": "https://www.linkedin.com/oauth/v2/authorization?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE",
      "mailchimp": "https://login.mailchimp.com/oauth2/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "microsoft_teams": "https://login.microsoftonline.com/common/oauth2/v2.0/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE",
      "miro": "https://miro.com/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "notion": "https://api.notion.com/v1/oauth/authorize?owner=user&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "one_drive": "https://login.microsoftonline.com/common/oauth2/v2.0/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE",
      "outlook": "https://login.microsoftonline.com/common/oauth2/v2.0/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE",
      "pinterest": "https://www.pinterest.com/oauth/?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%2Cb%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "pipedrive": "https://oauth.pipedrive.com/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE",
      "quickbooks": "https://appcenter.intuit.com/connect/oauth2?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "reddit": "https://www.reddit.com/api/v1/authorize?duration=permanent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "salesforce": "https://{loginhost}.salesforce.com/services/oauth2/authorize?prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "share_point": "https://login.microsoftonline.com/common/oauth2/v2.0/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE",
      "shopify": "https://{shop}.myshopify.com/admin/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%2Cb%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "slack": "https://slack.com/oauth/v2/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&user_scope=a%2Cb%3Ac&state=STATE",
      "slackbot": "https://slack.com/oauth/v2/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%2Cb%3Ac&state=STATE",
      "snowflake": "https://{account}.snowflakecomputing.com/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "splitwise": "https://secure.splitwise.com/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE",
      "spotify": "https://accounts.spotify.com/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "square": "https://connect.squareup.com/oauth2/authorize?session=false&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE",
      "strava": "https://www.strava.com/oauth/authorize?approval_prompt=auto&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%2Cb%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "supabase": "https://api.supabase.com/v1/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "tiktok": "https://www.tiktok.com/v2/auth/authorize/?response_type=code&client_key=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%2Cb%3Ac&state=STATE",
      "twitch": "https://id.twitch.tv/oauth2/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "typeform": "https://api.typeform.com/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE",
      "webflow": "https://webflow.com/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "wix": "https://www.wix.com/installer/install?response_type=code&appId=client%201&redirectUrl=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE",
      "wrike": "https://login.wrike.com/oauth2/authorize/v4?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%2Cb%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "x": "https://x.com/i/oauth2/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "xero": "https://login.xero.com/identity/connect/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "zendesk": "https://{subdomain}.zendesk.com/oauth/authorizations/new?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "zoho": "https://accounts.zoho.com/oauth/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%2Cb%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
      "zoom": "https://zoom.us/oauth/authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&scope=a%20b%3Ac&state=STATE&code_challenge=CHALLENGE&code_challenge_method=S256",
    }
  `);
});

test('T5. a challenge is in the URL exactly where the provider takes PKCE', () => {
  for (const { server } of searchProviders(null)) {
    const params = new URL(buildAuthorizationUrl({ ...request, server })).searchParams;
    expect(params.get('code_challenge_method')).toBe(server.pkce ? 'S256' : null);
    expect(params.has('code_challenge')).toBe(server.pkce);
  }
});

test('parameters of the endpoint stay, reserved ones cannot be set from outside', () => {
  const reserved =
    'response_type response_mode client_id client_secret redirect_uri scope user_scope state nonce code_challenge code_challenge_method request request_uri'.split(
      ' ',
    );
  expect([...RESERVED_AUTHORIZATION_PARAMS]).toEqual(reserved);
  const evil = Object.fromEntries(reserved.map((name) => [name, 'evil']));
  const server = serverFixture({
    authorizationUrl: 'https://provider.example/authorize?tenant=t+1&state=evil&response_mode=fragment&request_uri=x#f',
    authorizationParams: { ...evil, prompt: 'consent', tenant: 't&2' },
  });
  expect(buildAuthorizationUrl({ ...request, server, nonce: 'NONCE', scopes: [] })).toBe(
    'https://provider.example/authorize?tenant=t%262&prompt=consent&response_type=code&client_id=client%201' +
      '&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fexternal-auth%2Fcallback&state=STATE' +
      '&code_challenge=CHALLENGE&code_challenge_method=S256&nonce=NONCE',
  );
});

test('the `request` of an endpoint is a word of its own, but no request object', () => {
  const requestOf = (value: string) => {
    const server = serverFixture({ authorizationUrl: `https://provider.example/authorize?request=${value}` });
    return new URL(buildAuthorizationUrl({ ...request, server })).searchParams.get('request');
  };
  expect(requestOf('authorize')).toBe('authorize');
  expect(requestOf('e30.e30.')).toBeNull();
});

test('state, nonce and code verifier are 256 bits, and the challenge is the hash of the verifier', async () => {
  const { codeVerifier, codeChallenge } = await newPkce();
  expect(createHash('sha256').update(codeVerifier).digest('base64url')).toBe(codeChallenge);
  const values = [codeVerifier, newState(), newState(), newNonce(), newNonce()];
  expect(new Set(values).size).toBe(5);
  for (const value of values) expect(value).toMatch(/^[A-Za-z0-9_-]{43}$/);
});

const issuer = 'https://provider.example';

function read(query: string, server: { issuer: string | null; issParameterSupported: boolean }) {
  try {
    return readAuthorizationResponse(server, new URLSearchParams(query));
  } catch (error) {
    expect(error).toBeInstanceOf(OAuthError);
    const { verdict } = error as OAuthError;
    return verdict.kind === 'rejected' ? verdict.code : verdict;
  }
}

const always = { issuer, issParameterSupported: true };
const known = { issuer, issParameterSupported: false };
const unknown = { issuer: null, issParameterSupported: false };
const iss = encodeURIComponent(issuer);

test.each([
  ['code=c&state=s', unknown, { kind: 'code', code: 'c' }],
  ['code=c&state=s&iss=anything', unknown, { kind: 'code', code: 'c' }],
  ['code=c', known, { kind: 'code', code: 'c' }],
  [`code=c&iss=${iss}`, known, { kind: 'code', code: 'c' }],
  [`code=c&iss=${iss}%2F`, known, 'ISSUER_MISMATCH'],
  ['code=c&iss=', known, 'ISSUER_MISMATCH'],
  ['code=c&iss=https://evil.example', known, 'ISSUER_MISMATCH'],
  ['error=access_denied&iss=https://evil.example', known, 'ISSUER_MISMATCH'],
  ['code=c', always, 'ISSUER_MISMATCH'],
  ['error=access_denied', always, 'ISSUER_MISMATCH'],
  [`error=access_denied&iss=${iss}`, always, { kind: 'error', error: 'access_denied' }],
  ['code=c&iss=x', { issuer: null, issParameterSupported: true }, 'ISSUER_MISMATCH'],
  ['code=c', { issuer: null, issParameterSupported: true }, 'ISSUER_MISMATCH'],
  ['error=access_denied&code=c', unknown, { kind: 'error', error: 'access_denied' }],
  ['error=%3Cscript%3E', unknown, { kind: 'error', error: 'unknown_error' }],
  [`error=${'a'.repeat(65)}`, unknown, { kind: 'error', error: 'unknown_error' }],
  ['code=c&code=d', unknown, 'MALFORMED_RESPONSE'],
  ['code=c&code=c', unknown, 'MALFORMED_RESPONSE'],
  [`code=c&iss=${iss}&iss=${iss}`, known, 'MALFORMED_RESPONSE'],
  ['code=c&state=a&state=b', unknown, 'MALFORMED_RESPONSE'],
  ['state=s', unknown, 'MALFORMED_RESPONSE'],
  ['code=&error=', unknown, 'MALFORMED_RESPONSE'],
  ['', unknown, 'MALFORMED_RESPONSE'],
])('the authorization response %s', (query, server, expected) => {
  expect(read(query, server)).toEqual(expected);
});

test('of a callback only what the provider is known to tell there is kept', () => {
  const server = { keepFromCallback: ['realmId'], regionalOrigin: null };
  expect(keptFromCallback(server, new URLSearchParams('realmId=7&other=x&=y'))).toEqual([
    { name: 'realmId', value: '7' },
  ]);
  const regionalOrigin = { parameter: 'location', hosts: ['eu.provider.example'] };
  for (const either of [server, { ...server, regionalOrigin }])
    expect(keptFromCallback(either, new URLSearchParams('code=c'))).toEqual([]);
});
