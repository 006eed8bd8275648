const longestReadBytes = 1024 * 1024;

/**
 * A body as text; null where it is longer than that. Of such a one some more is read and dropped: a browser that is
 * still sending may not look at the page. The stream is never ended early, since the connection would end with it, unanswered.
 */
export async function readBody(request: Request, longestBytes: number): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  const reader = request.body?.getReader();
  let size = 0;
  while (reader && size <= longestReadBytes) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    if (size <= longestBytes) chunks.push(value);
  }
  return size > longestBytes ? null : Buffer.concat(chunks).toString('utf8');
}
