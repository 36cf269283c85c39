// Drives every command of node-redis's time-series module: node_redis.mjs FOLDER PORT, where FOLDER
// holds node_modules. Both names of a command, `MGET` and `mGet`, are one command.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const [folder, port] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { createClient, ErrorReply } = require('@redis/client');
const timeSeries = require('@redis/time-series');
const version = require('@redis/time-series/package.json').version;

// Commands that the server does not have yet, and how to call them. The test fails once it has them:
// then they move to a check of their own.
const NOT_YET = {};

const at = (timestamp, value) => ({ timestamp, value });
const row = (timestamp, ...values) => ({ timestamp, values });
// The samples of the series that ranges are asked of.
const R = [at(1000, 1), at(1500, 3), at(2500, 7), at(4500, 5)];
const S = [at(1000, 10), at(2500, 20)];
const FLOW = 'kind=flow';
const NO_SAMPLE = { 2: at(undefined, NaN), 3: at(undefined, undefined) };

// Replies have no prototype or the usual one, by protocol: only what is in them counts.
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Error) return value.constructor.name;
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
  }
  return value;
}

const reversed = list => [...list].reverse();

async function check(reply, want) {
  assert.deepStrictEqual(plain(await reply), want);
}

async function checkFails(reply, part) {
  await assert.rejects(reply, error => error instanceof ErrorReply && error.message.includes(part));
}

async function fill(ts) {
  await check(ts.create('r', { LABELS: { kind: 'flow', room: '1', floor: '2' } }), 'OK');
  await check(ts.create('s', { LABELS: { kind: 'flow', room: '2' } }), 'OK');
  await check(ts.create('e', { LABELS: { kind: 'flow', room: '3' } }), 'OK');
  for (const [key, samples] of [['r', R], ['s', S]]) {
    await check(ts.mAdd(samples.map(one => ({ key, ...one }))), samples.map(one => one.timestamp));
  }
}

async function createAlterInfo(ts) {
  const options = {
    RETENTION: 100000, ENCODING: 'UNCOMPRESSED', CHUNK_SIZE: 128, DUPLICATE_POLICY: 'LAST',
    LABELS: { kind: 'x' }, IGNORE: { maxTimeDiff: 5, maxValDiff: 0.5 },
  };
  await check(ts.create('i', options), 'OK');
  await checkFails(ts.create('i'), 'key already exists');
  await check(ts.add('i', 1000, 1.5), 1000);
  await check(ts.add('i', 1004, 1.75), 1000); // IGNORE: too near to the newest
  await check(ts.add('i', new Date(2000), 2.5), 2000);
  const want = {
    totalSamples: 2, firstTimestamp: 1000, lastTimestamp: 2000, retentionTime: 100000,
    chunkCount: 1, chunkSize: 128, chunkType: 'uncompressed', duplicatePolicy: 'last',
    labels: [{ name: 'kind', value: 'x' }], sourceKey: null, rules: [],
    ignoreMaxTimeDiff: 5, ignoreMaxValDiff: 0.5,
  };
  const { memoryUsage, ...info } = await ts.info('i');
  assert(memoryUsage > 0);
  await check(info, want);

  const { memoryUsage: _, keySelfName, chunks, ...debug } = await ts.infoDebug('i');
  await check(debug, want);
  await check(keySelfName, 'i');
  assert.equal(chunks.length, 1);
  const { size, bytesPerSample, ...chunk } = chunks[0];
  await check(chunk, { startTimestamp: 1000, endTimestamp: 2000, samples: 2 });
  assert.equal(typeof bytesPerSample, 'string');
  assert.equal(Number(bytesPerSample), size / 2);

  const changes = {
    RETENTION: 500, CHUNK_SIZE: 256, DUPLICATE_POLICY: 'MAX', LABELS: { kind: 'y', b: 'c' },
    IGNORE: { maxTimeDiff: 0, maxValDiff: 0 },
  };
  await check(ts.alter('i', changes), 'OK');
  const { memoryUsage: __, ...altered } = await ts.info('i');
  await check(altered, {
    ...want, totalSamples: 1, firstTimestamp: 2000, retentionTime: 500, chunkSize: 256,
    duplicatePolicy: 'max', labels: [{ name: 'kind', value: 'y' }, { name: 'b', value: 'c' }],
    ignoreMaxTimeDiff: 0, ignoreMaxValDiff: 0,
  });
  await check(ts.alter('i', { LABELS: {} }), 'OK');
  await check((await ts.info('i')).labels, []);
  await checkFails(ts.info('none'), 'the key does not exist');
}

async function addDelete(ts) {
  assert(await ts.add('a', '*', 1) > 1700000000000);
  const options = { LABELS: { kind: 'z' }, IGNORE: { maxTimeDiff: 0, maxValDiff: 0 } };
  const more = { RETENTION: 5000, ENCODING: 'COMPRESSED', CHUNK_SIZE: 64, ...options };
  await check(ts.add('a2', 1000, 2.25, more), 1000);
  await checkFails(ts.add('a2', 1000, 1), 'DUPLICATE_POLICY');
  await check(ts.add('a2', 1000, 1, { ON_DUPLICATE: 'SUM', ...options }), 1000);
  await check(ts.get('a2'), at(1000, 3.25));
  await check(ts.add('a3', 7, NaN), 7);
  await check(ts.get('a3'), at(7, NaN));
  const items = [
    { key: 'a2', timestamp: 2000, value: 2 }, { key: 'none', timestamp: 1, value: 1 },
    { key: 'a3', timestamp: 8, value: 1e300 },
  ];
  await check(ts.mAdd(items), [2000, 'SimpleError', 8]);
  await check(ts.get('a3'), at(8, 1e300));
  await check(ts.del('a2', 0, new Date(1000)), 1);
  await check(ts.del('a2', '-', '+'), 1);
  await check(ts.get('a2'), null);
}

async function incrByDecrBy(ts) {
  const options = {
    TIMESTAMP: 1000, RETENTION: 60000, UNCOMPRESSED: true, CHUNK_SIZE: 128, LABELS: { kind: 'count' },
    IGNORE: { maxTimeDiff: 0, maxValDiff: 0 },
  };
  await check(ts.incrBy('c', 2, options), 1000);
  await check(ts.incrBy('c', 1.5, { TIMESTAMP: 1000 }), 1000);
  await check(ts.decrBy('c', 1, { TIMESTAMP: 2000 }), 2000);
  await check(ts.range('c', '-', '+'), [at(1000, 3.5), at(2000, 2.5)]);
  await checkFails(ts.incrBy('c', 1, { TIMESTAMP: 1 }), 'timestamp must be equal to or higher');
  const { chunkType, labels } = await ts.info('c');
  await check([chunkType, labels], ['uncompressed', [{ name: 'kind', value: 'count' }]]);
  assert(await ts.incrBy('c', 1, { TIMESTAMP: '*' }) > 1700000000000);
  await check(ts.decrBy('c2', 4, options), 1000);
  await check(ts.get('c2'), at(1000, -4));
}

async function ranges(ts) {
  const both = async (want, from, to, options) => {
    await check(ts.range('r', from, to, options), want);
    await check(ts.revRange('r', from, to, options), reversed(want));
  };
  await both(R, '-', '+');
  await both(R.slice(1, 3), 1001, new Date(2500), { LATEST: true });
  await check(ts.range('r', 0, '+', { COUNT: 2 }), R.slice(0, 2));
  await check(ts.revRange('r', 0, '+', { COUNT: 1 }), R.slice(3));
  await both([R[0], R[3]], '-', '+', { FILTER_BY_TS: [1000, 4500, 9] });
  await both([R[1], R[3]], '-', '+', { FILTER_BY_VALUE: { min: 3, max: 6 } });
  const avg = { type: 'AVG', timeBucket: 1000 };
  const filled = [at(1000, 2), at(2000, 7), at(3000, NaN), at(4000, 5)];
  await both(filled, '-', '+', { AGGREGATION: { ...avg, EMPTY: true } });
  for (const [name, shift] of Object.entries({ LOW: 0, MIDDLE: 500, END: 1000 })) {
    const BUCKETTIMESTAMP = timeSeries.TIME_SERIES_BUCKET_TIMESTAMP[name];
    const want = [at(1000 + shift, 2), at(2000 + shift, 7), at(4000 + shift, 5)];
    await both(want, '-', '+', { AGGREGATION: { ...avg, BUCKETTIMESTAMP } });
  }
  const aligned = [at(500, 1), at(1500, 3), at(2500, 7), at(4500, 5)];
  for (const ALIGN of [500, 'START', '-']) await both(aligned, 500, '+', { ALIGN, AGGREGATION: avg });
  for (const ALIGN of ['END', '+']) await both(aligned, 0, 4500, { ALIGN, AGGREGATION: avg });
  const whole = {
    AVG: 4, SUM: 16, MIN: 1, MAX: 7, RANGE: 6, COUNT: 4, FIRST: 1, LAST: 5, 'STD.P': Math.sqrt(5),
    'STD.S': Math.sqrt(20 / 3), 'VAR.P': 5, 'VAR.S': 20 / 3, COUNTNAN: 0, COUNTALL: 4, TWA: 18000 / 3500,
  };
  for (const type of Object.values(timeSeries.TIME_SERIES_AGGREGATION_TYPE)) {
    await both([at(0, whole[type])], '-', '+', { AGGREGATION: { type, timeBucket: 10000 } });
  }
  await check(ts.range('e', '-', '+'), []);

  const AGGREGATION = { types: ['MIN', 'MAX'], timeBucket: 2000, EMPTY: true, BUCKETTIMESTAMP: '~' };
  const options = { ALIGN: 0, AGGREGATION };
  const want = [row(1000, 1, 3), row(3000, 7, 7), row(5000, 5, 5)];
  await check(ts.rangeMultiAggr('r', '-', '+', options), want);
  await check(ts.revRangeMultiAggr('r', '-', '+', options), reversed(want));
}

async function sideBySide(ts) {
  const both = async (want, keys, from, to, options) => {
    await check(ts.nRange(keys, from, to, options), want);
    await check(ts.nRevRange(keys, from, to, options), reversed(want));
  };
  const rows = [row(1000, 1, NaN, 10), row(1500, 3, NaN, NaN), row(2500, 7, NaN, 20), row(4500, 5, NaN, NaN)];
  await both(rows, ['r', 'e', 's'], '-', '+');
  await both(rows.slice(2, 3), ['r', 'e', 's'], 2000, 3000, { LATEST: true });
  await check(ts.nRange(['r', 's'], '-', '+', { COUNT: 1 }), [row(1000, 1, 10)]);
  const AGGREGATION = { types: [['SUM'], ['MIN', 'MAX']], timeBucket: 1000 };
  const buckets = [row(1000, 10, 1, 3), row(2000, 20, 7, 7), row(4000, NaN, 5, 5)];
  await both(buckets, ['s', 'r'], '-', '+', { AGGREGATION });
  await checkFails(ts.nRange(['r', 'none'], '-', '+'), 'the key does not exist');
}

async function rules(ts) {
  await check(ts.create('src'), 'OK');
  await check(ts.create('dst'), 'OK');
  await check(ts.createRule('src', 'dst', 'AVG', 1000), 'OK');
  for (const { timestamp, value } of R) await check(ts.add('src', timestamp, value), timestamp);
  await check(ts.range('dst', '-', '+'), [at(1000, 2), at(2000, 7)]);
  await check(ts.range('dst', '-', '+', { LATEST: true }), [at(1000, 2), at(2000, 7), at(4000, 5)]);
  await check(ts.get('dst', { LATEST: true }), at(4000, 5));
  const { rules: [rule] } = await ts.info('src');
  await check(Promise.resolve([rule.key, rule.timeBucket, rule.aggregationType]), ['dst', 1000, 'AVG']);
  await check(ts.info('dst').then(info => info.sourceKey), 'src');
  await check(ts.deleteRule('src', 'dst'), 'OK');
  await check(ts.info('src').then(info => info.rules), []);
  await checkFails(ts.deleteRule('src', 'dst'), 'compaction rule does not exist');
}

async function read(ts) {
  const { EARLIEST, LATEST, NEW } = timeSeries.TS_READ_TIMESTAMP;
  await check(ts.read('r', EARLIEST), R);
  await check(ts.read('r', LATEST), R.slice(3));
  await check(ts.read('r', 1001, { MAX_COUNT: 2 }), R.slice(1, 3));
  await check(ts.read('r', 1001, { BLOCK: { milliseconds: 60000, minCount: 3 }, MAX_COUNT: 3 }), R.slice(1));
  await check(ts.read('r', NEW, { BLOCK: { milliseconds: 10 } }), []);
}

async function getMGet(ts, resp) {
  await check(ts.get('r'), R[3]);
  await check(ts.get('r', { LATEST: true }), R[3]);
  await check(ts.get('e'), null);
  await checkFails(ts.get('none'), 'the key does not exist');
  const [r, s, e] = [R[3], S[1], NO_SAMPLE[resp]].map(sample => ({ sample }));
  await check(ts.mGet(FLOW, { LATEST: true }), { e, r, s });
  await check(ts.mGet([FLOW, 'room=(1,2)']), { r, s });
  await check(ts.mGet('kind=none'), {});
  await check(ts.mGetWithLabels('room=2'), { s: { labels: { kind: 'flow', room: '2' }, ...s } });
  await check(ts.mGetSelectedLabels([FLOW, 'room!=3'], ['room', 'floor']), {
    r: { labels: { room: '1', floor: '2' }, ...r }, s: { labels: { room: '2', floor: null }, ...s },
  });
}

async function queries(ts) {
  await check(ts.queryIndex(FLOW), ['e', 'r', 's']);
  await check(ts.queryIndex([FLOW, 'floor=']), ['e', 's']);
  await check(ts.queryIndex('kind=none'), []);
  await check(ts.queryLabels(FLOW), ['floor', 'kind', 'room']);
  assert((await ts.queryLabels()).includes('kind'));
  await check(ts.queryLabelValues('room'), ['1', '2', '3']);
  await check(ts.queryLabelValues('room', [FLOW, 'floor!=']), ['1']);
}

const backwards = reply => Object.fromEntries(Object.entries(reply).map(([key, one]) =>
  [key, Array.isArray(one) ? reversed(one) : { ...one, samples: reversed(one.samples) }]));

async function mRanges(ts) {
  // Calls both directions of a command.
  const both = async (name, want, ...args) => {
    await check(ts[name](...args), want);
    await check(ts[name.replace('mRange', 'mRevRange')](...args), backwards(want));
  };
  const range = ['-', '+'];
  await both('mRange', { e: [], r: R, s: S }, ...range, FLOW);
  await both('mRange', { r: R, s: S }, ...range, FLOW, { EXCLUDEEMPTY: true, LATEST: true });
  await check(ts.mRange(...range, ['room=1'], { COUNT: 1 }), { r: R.slice(0, 1) });
  const filters = { FILTER_BY_TS: [1000, 2500], FILTER_BY_VALUE: { min: 2, max: 9 } };
  await both('mRange', { r: [R[2]] }, 0, new Date(9000), 'room=1', filters);

  const sum = { AGGREGATION: { type: 'SUM', timeBucket: 1500, EMPTY: true, BUCKETTIMESTAMP: '-' }, ALIGN: 0 };
  const sums = [at(0, 1), at(1500, 10), at(3000, 0), at(4500, 5)];
  await both('mRange', { r: sums }, ...range, 'room=1', sum);
  const labels = { kind: 'flow', room: '2' };
  await both('mRangeWithLabels', { s: { labels, samples: S } }, ...range, 'room=2');
  const selected = { s: { labels: { room: '2', floor: null }, samples: S } };
  await both('mRangeSelectedLabels', selected, ...range, ['room', 'floor'], 'room=2', { EXCLUDEEMPTY: true });

  const multi = { AGGREGATION: { types: ['MIN', 'COUNT'], timeBucket: 5000 }, EXCLUDEEMPTY: true };
  const rows = [row(0, 10, 2)];
  await both('mRangeMultiAggr', { s: rows, r: [row(0, 1, 4)] }, ...range, FLOW, multi);
  await both('mRangeWithLabelsMultiAggr', { s: { labels, samples: rows } }, ...range, 'room=2', multi);
  const chosen = { s: { labels: { floor: null }, samples: rows } };
  await both('mRangeSelectedLabelsMultiAggr', chosen, ...range, 'floor', 'room=2', multi);

  const samples = [at(1000, 11), at(1500, 3), at(2500, 27), at(4500, 5)];
  const by = { label: 'kind', REDUCE: 'SUM' };
  await both('mRangeGroupBy', { 'kind=flow': { samples } }, ...range, FLOW, by);
  const all = { 'kind=flow': { labels: { kind: 'flow' }, sources: ['e', 'r', 's'], samples } };
  await both('mRangeWithLabelsGroupBy', all, ...range, FLOW, by);
  const some = { 'kind=flow': { labels: { kind: 'flow', room: null }, samples } };
  await both('mRangeSelectedLabelsGroupBy', some, ...range, ['kind', 'room'], FLOW, by);
  const at2500 = {
    AVG: 13.5, SUM: 27, MIN: 7, MAX: 20, RANGE: 13, COUNT: 2, COUNTNAN: 0, COUNTALL: 2, 'STD.P': 6.5,
    'STD.S': Math.sqrt(84.5), 'VAR.P': 42.25, 'VAR.S': 84.5,
  };
  for (const REDUCE of Object.values(timeSeries.TIME_SERIES_REDUCERS)) {
    const want = { 'kind=flow': { samples: [at(2500, at2500[REDUCE])] } };
    await both('mRangeGroupBy', want, 2500, 2500, FLOW, { label: 'kind', REDUCE });
  }
  const average = { AGGREGATION: { type: 'AVG', timeBucket: 5000 } };
  const floors = { 'floor=2': { samples: [at(0, 4)] } };
  await both('mRangeGroupBy', floors, ...range, FLOW, { label: 'floor', REDUCE: 'MAX' }, average);
}

async function transactions(ts, _resp, client) {
  const multi = client.multi().ts.add('p', 1, 1).ts.incrBy('p', 2, { TIMESTAMP: 2 });
  await check(multi.ts.get('p').ts.range('p', '-', '+').exec(), [1, 2, at(2, 3), [at(1, 1), at(2, 3)]]);
}

const CHECKS = [createAlterInfo, addDelete, incrByDecrBy, ranges, sideBySide, rules, read, getMGet, queries, mRanges, transactions];

// The commands by what they are, each with all its names.
const commands = new Map();
for (const [name, command] of Object.entries(timeSeries.default)) {
  commands.set(command, [...(commands.get(command) ?? []), name]);
}

async function main() {
  for (const RESP of [2, 3]) {
    const client = createClient({ socket: { port: Number(port) }, RESP, modules: { ts: timeSeries.default } });
    await client.connect();
    try {
      await client.flushAll();
      const called = new Set();
      const noting = new Proxy(client.ts, {
        get(ts, name) {
          called.add(timeSeries.default[name]);
          return ts[name].bind(ts);
        },
      });
      await fill(noting);
      for (const one of CHECKS) {
        console.log(`RESP${RESP}: ${one.name}`);
        await one(noting, RESP, client);
      }
      for (const [name, [reason, call]] of Object.entries(NOT_YET)) {
        called.add(timeSeries.default[name]);
        await checkFails(call(client.ts), 'unknown command').catch(error => {
          throw new Error(`${name} (${reason}) is answered: take it off NOT_YET and check it`, { cause: error });
        });
      }
      const missed = [...commands].filter(([command]) => !called.has(command)).map(([, names]) => names);
      assert.deepStrictEqual(missed, [], 'no command is missed');
    } finally {
      client.destroy();
    }
  }
  const total = commands.size;
  console.log(`node-redis ${version}: ${total - Object.keys(NOT_YET).length} of ${total} commands`);
}

await main();
