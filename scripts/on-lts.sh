#!/usr/bin/env bash
# The service on the current LTS of Node, beside the oldest Node that it runs on: it is built, started and asked there, and the
# quick tests pass. NODE_LTS names another version, LTS_PORT another port.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" != inside ]; then
  exec npm exec --yes --package="node@${NODE_LTS:-24}" -- bash scripts/on-lts.sh inside
fi

echo "Node $(node --version)"
npm run --silent build

log=$(mktemp)
LOG_LEVEL=warn DATA_DIR=memory:// PORT="${LTS_PORT:-4924}" node scripts/start.mjs >"$log" 2>&1 &
service=$!
trap 'kill "$service" 2>/dev/null || true' EXIT
for _ in $(seq 120); do
  if grep -q 'Listening on' "$log" || ! kill -0 "$service" 2>/dev/null; then break; fi
  sleep 0.5
done
node --input-type=module - "http://127.0.0.1:${LTS_PORT:-4924}" <<'ASK' || { cat "$log" >&2; exit 1; }
const [, , url] = process.argv;
const ready = await fetch(`${url}/readyz`);
const answer = await fetch(`${url}/graphql`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ query: '{ __typename }' }),
});
const { data } = await answer.json();
console.log(`/readyz ${ready.status}, /graphql ${JSON.stringify(data)}`);
if (ready.status !== 200 || data?.__typename !== 'Query') process.exit(1);
ASK
kill -TERM "$service"
wait "$service" # it ends with 0 where it has stopped in order

node_modules/.bin/vitest run test/crypto/keyring.test.ts test/journey.test.ts test/observability/ready.test.ts
