import type { Metrics } from '../observability/metrics.ts';

/** `GET /metrics`: what Prometheus asks for. */
export async function metricsRoute(metricsText: Metrics['text'], request: Request): Promise<Response> {
  if (request.method !== 'GET') return new Response('Method Not Allowed', { status: 405, headers: { Allow: 'GET' } });
  const { contentType, body } = await metricsText();
  return new Response(body, { headers: { 'Content-Type': contentType, 'Cache-Control': 'no-store' } });
}
