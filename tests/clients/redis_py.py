"""Drives every method of redis-py's time-series client: redis_py.py PORT.

The client gives replies in one shape for both protocols ("unified"), or in the older shapes of each
("legacy", its default). All methods are called on both protocols in the unified shape; those whose
replies are shaped by the protocol once more in the legacy ones.
"""

import inspect
import sys

import redis
from redis.commands.timeseries import TimeSeries

# Methods of commands that the server does not have yet, and how to call them. The test fails once
# it has them: then they move to a check of their own.
NOT_YET = {}

# The samples of the series that ranges are asked of.
R = [[1000, 1.0], [1500, 3.0], [2500, 7.0], [4500, 5.0]]
S = [[1000, 10.0], [2500, 20.0]]
NAN = float("nan")


class Noting:
    """A client that notes which of its methods were called."""

    def __init__(self, ts, called):
        self._ts, self._called = ts, called

    def __getattr__(self, name):
        self._called.add(name)
        return getattr(self._ts, name)


def is_same(got, want):
    """Whether two replies are equal, NaN with NaN and types of numbers included."""
    if isinstance(want, float):
        return isinstance(got, float) and (got == want or (got != got and want != want))
    if isinstance(want, (list, tuple)):
        same_kind = type(got) is type(want) and len(got) == len(want)
        return same_kind and all(map(is_same, got, want))
    if isinstance(want, dict):
        same_kind = isinstance(got, dict) and list(got) == list(want)
        return same_kind and all(is_same(got[key], want[key]) for key in want)
    return type(got) is type(want) and got == want


def check(got, want):
    if not is_same(got, want):
        raise AssertionError(f"\n  got  {got!r}\n  want {want!r}")


def check_fails(call, part):
    try:
        got = call()
    except redis.ResponseError as error:
        if part not in str(error):
            raise AssertionError(f"{error!r} does not say {part!r}") from error
    else:
        raise AssertionError(f"no error, but {got!r}")


def fill(ts):
    """The series that all reading checks share."""
    check(ts.create("r", labels={"kind": "flow", "room": "1", "floor": "2"}), True)
    check(ts.create("s", labels={"kind": "flow", "room": "2"}), True)
    check(ts.create("e", labels={"kind": "flow", "room": "3"}), True)
    check(ts.madd([("r", at, value) for at, value in R]), [at for at, _ in R])
    check(ts.madd([("s", at, value) for at, value in S]), [at for at, _ in S])


def create_alter_info(ts, _client):
    options = {
        "retention_msecs": 100_000,
        "chunk_size": 128,
        "ignore_max_time_diff": 5,
        "ignore_max_val_diff": 0.5,
    }
    check(
        ts.create("i", uncompressed=True, duplicate_policy="last", labels={"kind": "x"}, **options), True
    )
    check_fails(lambda: ts.create("i"), "key already exists")

    def fields():
        info = ts.info("i")
        return [
            info.total_samples, info.first_timestamp, info.last_timestamp, info.retention_msecs,
            info.chunk_size, info.duplicate_policy, info.labels, info.source_key, len(info.rules),
        ]

    check(fields(), [0, 0, 0, 100_000, 128, "last", {"kind": "x"}, None, 0])
    check(ts.add("i", 1000, 1.5), 1000)
    check(ts.add("i", 1004, 1.75), 1000)  # IGNORE: too near to the newest
    check(ts.add("i", 2000, 2.5), 2000)
    check(fields(), [2, 1000, 2000, 100_000, 128, "last", {"kind": "x"}, None, 0])
    info = ts.info("i")
    check([info.memory_usage > 0, info.chunk_count, info.get("retentionTime")], [True, 1, 100_000])

    check(
        ts.alter(
            "i", retention_msecs=500, chunk_size=256, duplicate_policy="max", labels={"kind": "y", "b": "c"},
            ignore_max_time_diff=0, ignore_max_val_diff=0,
        ),
        True,
    )
    check(fields(), [1, 2000, 2000, 500, 256, "max", {"kind": "y", "b": "c"}, None, 0])
    check_fails(lambda: ts.alter("none", retention_msecs=1), "the key does not exist")
    check_fails(lambda: ts.info("none"), "the key does not exist")
    check(ts.create("bare"), True)
    check(ts.info("bare").duplicate_policy, None)


def add_madd_delete(ts, _client):
    check(ts.add("a", "*", 1) > 1_700_000_000_000, True)
    check(ts.add("a2", 1000, "2.25", retention_msecs=5000, uncompressed=True, chunk_size=64,
                 duplicate_policy="block", labels={"kind": "y"}), 1000)
    check_fails(lambda: ts.add("a2", 1000, 1), "DUPLICATE_POLICY")
    # The client puts these options behind the labels.
    options = {"labels": {"kind": "z"}, "ignore_max_time_diff": 0, "ignore_max_val_diff": 0}
    check(ts.add("a2", 1000, 1, on_duplicate="sum", **options), 1000)
    check(ts.get("a2"), [1000, 3.25])
    check(ts.add("a3", 7, float("nan"), on_duplicate="last", **options), 7)
    check(ts.get("a3"), [7, NAN])
    check(ts.info("a3").labels, {"kind": "z"})
    check_fails(lambda: ts.add("a2", 1, 1, on_duplicate="foo"), "DUPLICATE_POLICY")

    got = ts.madd([("a2", 2000, 2), ("a3", 8, 1e300), ("none", 1, 1), ("a2", "x", 1)])
    check(got[:2], [2000, 8])
    check([type(one).__name__ for one in got[2:]], ["ResponseError"] * 2)
    check(ts.get("a3"), [8, 1e300])
    check(ts.delete("a2", 0, 1000), 1)
    check(ts.delete("a2", "-", "+"), 1)
    check(ts.delete("a2", 0, 5000), 0)
    check(ts.get("a2"), None)


def incrby_decrby(ts, _client):
    options = {
        "retention_msecs": 60_000, "uncompressed": True, "labels": {"kind": "count"}, "chunk_size": 128,
        "duplicate_policy": "last", "ignore_max_time_diff": 0, "ignore_max_val_diff": 0,
    }
    check(ts.incrby("c", 2, timestamp=1000, **options), 1000)
    check(ts.incrby("c", 1.5, timestamp=1000), 1000)
    check(ts.decrby("c", 1, timestamp=2000), 2000)
    check(ts.range("c", "-", "+"), [[1000, 3.5], [2000, 2.5]])
    check_fails(lambda: ts.incrby("c", 1, timestamp=1500), "timestamp must be equal to or higher")
    check(ts.decrby("c", 0.5) > 1_700_000_000_000, True)
    check(ts.get("c")[1], 2.0)
    check(ts.decrby("c2", 4, timestamp=5, **options), 5)
    check(ts.get("c2"), [5, -4.0])
    check(ts.info("c2").labels, {"kind": "count"})


def ranges(ts, _client):
    def both(want, *args, **kwargs):
        check(ts.range("r", *args, **kwargs), want)
        check(ts.revrange("r", *args, **kwargs), want[::-1])

    both(R, "-", "+")
    both(R[1:3], 1001, 2500)
    both(R, 0, "+", latest=True)
    check(ts.range("r", 0, "+", count=2), R[:2])
    check(ts.revrange("r", 0, "+", count=2), R[:1:-1])
    both([R[0], R[3]], "-", "+", filter_by_ts=[1000, 4500, 9])
    both([R[1], R[3]], "-", "+", filter_by_min_value=3, filter_by_max_value=6)
    agg = {"aggregation_type": "avg", "bucket_size_msec": 1000}
    both([[1000, 2.0], [2000, 7.0], [4000, 5.0]], "-", "+", **agg)
    both([[1000, 2.0], [2000, 7.0], [3000, NAN], [4000, 5.0]], "-", "+", empty=True, **agg)
    for name, shift in [("start", 0), ("-", 0), ("mid", 500), ("~", 500), ("end", 1000), ("+", 1000)]:
        want = [[1000 + shift, 2.0], [2000 + shift, 7.0], [4000 + shift, 5.0]]
        both(want, "-", "+", bucket_timestamp=name, **agg)
    aligned = [[500, 1.0], [1500, 3.0], [2500, 7.0], [4500, 5.0]]
    for align, *ends in [(500, "-", "+"), ("start", 500, "+"), ("-", 500, "+"), ("end", 0, 4500), ("+", 0, 4500)]:
        both(aligned, *ends, align=align, **agg)
    both([[1000, 1.0, 3.0], [2000, 7.0, 7.0], [4000, 5.0, 5.0]], "-", "+",
         aggregation_type=["min", "max"], bucket_size_msec=1000)
    whole = {
        "avg": 4.0, "sum": 16.0, "min": 1.0, "max": 7.0, "range": 6.0, "count": 4.0, "first": 1.0,
        "last": 5.0, "std.p": 5**0.5, "std.s": (20 / 3) ** 0.5, "var.p": 5.0, "var.s": 20 / 3,
        "countnan": 0.0, "countall": 4.0,
    }
    for name, value in whole.items():
        both([[0, value]], "-", "+", aggregation_type=name, bucket_size_msec=10_000)
    # Areas under the line: 1000, 5000 and 12000 over 3500 ms.
    both([[0, (1000 + 5000 + 12_000) / 3500]], "-", "+", aggregation_type="twa", bucket_size_msec=10_000)
    check(ts.range("e", "-", "+"), [])
    check_fails(lambda: ts.range("none", "-", "+"), "the key does not exist")


def side_by_side(ts, _client):
    def both(want, keys, *args, **kwargs):
        check(ts.nrange(keys, *args, **kwargs), want)
        check(ts.nrevrange(keys, *args, **kwargs), want[::-1])

    rows = [[1000, [1.0, NAN, 10.0]], [1500, [3.0, NAN, NAN]], [2500, [7.0, NAN, 20.0]], [4500, [5.0, NAN, NAN]]]
    both(rows, ["r", "e", "s"], "-", "+")
    both(rows[2:3], ["r", "e", "s"], 2000, 3000, latest=True)
    check(ts.nrange(["r", "s"], "-", "+", count=1), [[1000, [1.0, 10.0]]])
    both([[1000, [10.0, 1.0, 3.0]], [2000, [20.0, 7.0, 7.0]], [4000, [NAN, 5.0, 5.0]]], ["s", "r"], "-", "+",
         aggregators=["sum", "min,max"], bucket_size_msec=1000)
    both([[2500, [7.0, 20.0]]], ["r", "s"], "-", "+", filter_by_ts=[2500])
    check_fails(lambda: ts.nrange(["r", "none"], "-", "+"), "the key does not exist")


def rules(ts, _client):
    check(ts.create("src"), True)
    check(ts.create("dst"), True)
    check(ts.createrule("src", "dst", "avg", 1000), True)
    check(ts.createrule("src", "dst2", "max", 2000, 500) if ts.create("dst2") else None, True)
    check(ts.madd([("src", at, value) for at, value in R]), [at for at, _ in R])
    check(ts.range("dst", "-", "+"), [[1000, 2.0], [2000, 7.0]])
    check(ts.range("dst", "-", "+", latest=True), [[1000, 2.0], [2000, 7.0], [4000, 5.0]])
    check([ts.get("dst"), ts.get("dst", latest=True)], [[2000, 7.0], [4000, 5.0]])
    check(ts.range("dst2", "-", "+"), [[500, 3.0], [2500, 7.0]])
    info = ts.info("src")
    check(len(info.rules), 2)
    check(ts.info("dst").source_key, "src")
    check(ts.deleterule("src", "dst"), True)
    check(ts.deleterule("src", "dst2"), True)
    check(len(ts.info("src").rules), 0)
    check(ts.info("dst").source_key, None)
    check_fails(lambda: ts.deleterule("src", "dst"), "compaction rule does not exist")


def read(ts, _client):
    check(ts.read("r", "-"), R)
    check(ts.read("r", "+"), R[3:])
    check(ts.read("r", 1001, max_count=2), R[1:3])
    check(ts.read("r", 1001, block_milliseconds=60_000, block_min_count=3, max_count=3), R[1:])
    check(ts.read("r", "$", block_milliseconds=10), [])


def get_mget(ts, _client):
    check(ts.get("r"), R[3])
    check(ts.get("r", latest=True), R[3])
    check(ts.get("e"), None)
    check_fails(lambda: ts.get("none"), "the key does not exist")
    check(ts.mget(["kind=flow"]), {"e": [{}, []], "r": [{}, R[3]], "s": [{}, S[1]]})
    check(ts.mget(["kind=flow", "room=(2,9)"], with_labels=True, latest=True),
          {"s": [{"kind": "flow", "room": "2"}, S[1]]})
    check(ts.mget(["kind=flow", "room!=3"], select_labels=["room", "floor"]),
          {"r": [{"room": "1", "floor": "2"}, R[3]], "s": [{"room": "2", "floor": None}, S[1]]})
    check(ts.mget(["kind=none"]), {})


def queries(ts, _client):
    check(sorted(ts.queryindex(["kind=flow"])), ["e", "r", "s"])
    check(sorted(ts.queryindex(["kind=flow", "floor="])), ["e", "s"])
    check(list(ts.queryindex(["kind=none"])), [])
    check(ts.querylabels(filters=["kind=flow"]), {"kind", "room", "floor"})
    check(ts.querylabels("room"), {"1", "2", "3"})
    check(ts.querylabels("room", filters=["floor!=", "kind=flow"]), {"1"})
    check(ts.querylabels("room", filters=["kind=none"]), set())
    check("kind" in ts.querylabels(), True)


def mranges(ts, client):
    none, avg = {"aggregators": []}, {"aggregators": ["avg"]}

    def both(want, *args, **kwargs):
        check(ts.mrange(*args, **kwargs), want)
        backwards = {key: [labels, meta, rows[::-1]] for key, (labels, meta, rows) in want.items()}
        check(ts.mrevrange(*args, **kwargs), backwards)

    flow = ["kind=flow"]
    both({"e": [{}, none, []], "r": [{}, none, R], "s": [{}, none, S]}, "-", "+", flow)
    both({"r": [{}, none, R], "s": [{}, none, S]}, "-", "+", flow, exclude_empty=True, latest=True)
    both({"s": [{"kind": "flow", "room": "2"}, none, S]}, "-", "+", ["room=2"], with_labels=True)
    both({"s": [{"room": "2", "floor": None}, none, S]}, "-", "+", ["room=2"], select_labels=["room", "floor"])
    check(ts.mrange("-", "+", ["room=1"], count=1), {"r": [{}, none, R[:1]]})
    check(ts.mrevrange("-", "+", ["room=1"], count=1), {"r": [{}, none, R[3:]]})
    both({"r": [{}, none, R[2:3]]}, 0, 9000, ["room=1"], filter_by_ts=[1000, 2500], filter_by_min_value=2,
         filter_by_max_value=9)
    both({"s": [{}, avg, [[1500, 10.0], [2500, 20.0]]]}, "-", "+", ["room=2"], aggregation_type="avg",
         bucket_size_msec=1000, align=0, bucket_timestamp="mid")
    filled = [[0, 1.0], [1500, 10.0], [3000, 0.0], [4500, 5.0]]
    both({"r": [{}, {"aggregators": ["sum"]}, filled]}, "-", "+", ["room=1"], aggregation_type="sum",
         bucket_size_msec=1500, empty=True)
    both({"s": [{}, {"aggregators": ["min", "count"]}, [[0, 10.0, 2.0]]]}, "-", "+", ["room=2"],
         aggregation_type=["min", "count"], bucket_size_msec=5000)

    # The protocols tell different things of a group, as they should.
    resp3 = client.connection_pool.connection_kwargs["protocol"] == 3
    sums = [[1000, 11.0], [1500, 3.0], [2500, 27.0], [4500, 5.0]]
    meta = {"reducers": ["sum"]} if resp3 else none
    both({"kind=flow": [{}, meta, sums]}, "-", "+", flow, groupby="kind", reduce="sum")
    labels = {"kind": "flow"} if resp3 else {"kind": "flow", "__reducer__": "sum", "__source__": "e,r,s"}
    both({"kind=flow": [labels, meta, sums]}, "-", "+", flow, groupby="kind", reduce="sum", with_labels=True)
    both({"kind=flow": [{"kind": "flow", "room": None}, meta, sums]}, "-", "+", flow, groupby="kind", reduce="sum",
         select_labels=["kind", "room"])
    meta = {"reducers": ["max"]} if resp3 else avg
    both({"floor=2": [{}, meta, [[0, 4.0]]]}, "-", "+", flow, groupby="floor", reduce="max",
         aggregation_type="avg", bucket_size_msec=5000)
    for reducer in ["avg", "min", "max", "range", "count", "std.p", "std.s", "var.p", "var.s", "countnan", "countall"]:
        rows = ts.mrange(2500, 2500, flow, groupby="kind", reduce=reducer)["kind=flow"][-1]
        want = {
            "avg": 13.5, "min": 7.0, "max": 20.0, "range": 13.0, "count": 2.0, "std.p": 6.5,
            "std.s": 84.5**0.5, "var.p": 42.25, "var.s": 84.5, "countnan": 0.0, "countall": 2.0,
        }
        check(rows, [[2500, want[reducer]]])
    check_fails(lambda: ts.mrange("-", "+", flow, groupby="kind", reduce="twa"), "Invalid reducer type")
    check_fails(lambda: ts.mrange("-", "+", []), "wrong number of arguments")


def pipelines(ts, _client):
    pipe = ts.pipeline()
    pipe.add("p", 1, 1).incrby("p", 2, timestamp=2).get("p").range("p", "-", "+")
    check(pipe.execute(), [1, 2, [2, 3.0], [[1, 1.0], [2, 3.0]]])


def legacy(ts, protocol):
    """The older shapes, which differ by protocol: tuples in RESP2, the bare reply in RESP3."""
    check(ts.create("i", uncompressed=True, ignore_max_time_diff=5, ignore_max_val_diff=0.5,
                    labels={"kind": "x"}), True)
    info, labels = ts.info("i"), {"kind": "flow", "room": "2"}
    if protocol == 2:
        check([info.labels, len(info.rules), info.chunk_size], [{"kind": "x"}, 0, 4096])
        check(ts.get("s"), (2500, 20.0))
        check(ts.get("e"), None)
        rows = [tuple(row) for row in S]
        check(ts.range("s", "-", "+"), rows)
        check(ts.revrange("s", "-", "+"), rows[::-1])
        check(ts.mget(["kind=flow"]), [{"e": [{}, None, None]}, {"r": [{}, 4500, 5.0]}, {"s": [{}, 2500, 20.0]}])
        check(ts.mget(["room=2"], with_labels=True), [{"s": [labels, 2500, 20.0]}])
        check(ts.mrange("-", "+", ["room=2"], with_labels=True), [{"s": [labels, rows]}])
        check(ts.mrevrange("-", "+", ["room=2"]), [{"s": [{}, rows[::-1]]}])
        check(ts.queryindex(["kind=flow"]), ["e", "r", "s"])
    else:
        memory = info.pop("memoryUsage")
        check(memory > 0, True)
        check(info, {
            "totalSamples": 0, "firstTimestamp": 0, "lastTimestamp": 0, "retentionTime": 0, "chunkCount": 0,
            "chunkSize": 4096, "chunkType": "uncompressed", "duplicatePolicy": None, "labels": {"kind": "x"},
            "sourceKey": None, "rules": {}, "ignoreMaxTimeDiff": 5, "ignoreMaxValDiff": 0.5, "idleTtl": 0,
        })
        check(ts.get("s"), S[1])
        check(ts.get("e"), [])
        check(ts.range("s", "-", "+"), S)
        check(ts.revrange("s", "-", "+"), S[::-1])
        check(ts.mget(["room=2"], with_labels=True), {"s": [labels, S[1]]})
        check(ts.mrange("-", "+", ["room=2"]), {"s": [{}, {"aggregators": []}, S]})
        check(ts.mrange("-", "+", ["kind=flow"], groupby="kind", reduce="min")["kind=flow"][:3],
              [{}, {"reducers": ["min"]}, {"sources": ["e", "r", "s"]}])
        check(ts.mrevrange("-", "+", ["room=2"]), {"s": [{}, {"aggregators": []}, S[::-1]]})
        check(sorted(ts.queryindex(["kind=flow"])), ["e", "r", "s"])
    check(ts.delete("s", 0, 5000), 2)


CHECKS = [
    create_alter_info, add_madd_delete, incrby_decrby, ranges, side_by_side, rules, read, get_mget, queries, mranges, pipelines,
]


def connect(port, protocol, legacy_responses):
    chosen = {} if protocol is None else {"protocol": protocol}
    client = redis.Redis(
        port=port, legacy_responses=legacy_responses, decode_responses=True, socket_timeout=60, **chosen
    )
    client.flushall()
    return client


def check_not_yet(ts):
    for name, (reason, call) in NOT_YET.items():
        try:
            check_fails(lambda: call(ts), "unknown command")
        except AssertionError as error:
            raise AssertionError(f"{name} ({reason}) is answered: take it off NOT_YET and check it") from error


def main(port):
    methods = {name for name, _ in inspect.getmembers(TimeSeries, inspect.isfunction) if not name.startswith("_")}
    for protocol in (2, 3):
        called = set()
        client = connect(port, protocol, legacy_responses=False)
        ts = Noting(client.ts(), called)
        fill(ts)
        for one in CHECKS:
            print(f"RESP{protocol}: {one.__name__}", flush=True)
            one(ts, client)
        missed = methods - called - set(NOT_YET)
        if missed:
            raise AssertionError(f"neither checked nor on NOT_YET: {sorted(missed)}")
        check_not_yet(client.ts())

    # Without a protocol the client speaks RESP3 and gives the shapes of RESP2.
    for protocol, shapes in ((2, 2), (3, 3), (None, 2)):
        print(f"legacy: {protocol}", flush=True)
        ts = connect(port, protocol, legacy_responses=True).ts()
        fill(ts)
        legacy(ts, shapes)
    print(f"redis-py {redis.__version__}: {len(methods - set(NOT_YET))} of {len(methods)} methods")


main(int(sys.argv[1]))
