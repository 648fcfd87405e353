// Callers of Emmett's PostgreSQL event store: each appends the first event of a new stream, and waits for its answer.
//
// Usage: node emmett.mjs MODULES CONNECTION CALLERS CONNECTIONS SECONDS
// Says `ready`, waits for a line, and prints what `bench/calling.py` describes.

import { createRequire } from 'node:module';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [modules, connection, callers, connections, seconds] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { getPostgreSQLEventStore } = await load('@event-driven-io/emmett-postgresql');
const pg = (await load('pg')).default;

const pool = new pg.Pool({ connectionString: connection, max: Number(connections) });
const store = getPostgreSQLEventStore(connection, { connectionOptions: { pool } });
await store.schema.migrate();

const event = {
  type: 'terms-shown',
  data: {
    terms: '2025-09-28', notice: 'f'.repeat(64), toggles: { 'model-training': 'on' },
    plan: 'pro', surface: 'pop-up', locale: 'en',
  },
};

async function call(until, took) {
  for (let before = performance.now(); before < until; before = performance.now()) {
    await store.appendToStream(`subject-${randomUUID()}`, [event], { expectedStreamVersion: 'STREAM_DOES_NOT_EXIST' });
    took.push(performance.now() - before);
  }
}

async function run(some) {
  const took = [];
  const begun = performance.now();
  await Promise.all(Array.from({ length: Number(callers) }, () => call(begun + 1000 * some, took)));
  const passed = (performance.now() - begun) / 1000;
  took.sort((a, b) => a - b);
  const at = (share) => took[Math.min(took.length - 1, Math.floor(share * took.length))] ?? 0;
  return { appends: took.length, seconds: passed, median: at(0.5), p99: at(0.99) };
}

await run(0.5);
console.log('ready');
await new Promise((told) => createInterface({ input: process.stdin }).once('line', told));
console.log(JSON.stringify(await run(Number(seconds))));
process.exit(0);
