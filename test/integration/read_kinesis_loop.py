"""Prints what deltalake finds in the lake of the Kinesis loop: the place of each bronze row, what is out of order within an account, how often each
number is in silver where that is not once, all rows of gold, and the dead letters."""
import json
import sys
from collections import Counter, defaultdict

from deltalake import DeltaTable

bucket, endpoint, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
options = {
    "AWS_ENDPOINT_URL": endpoint,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}


def read(table, columns):
    return DeltaTable(f"s3://{bucket}/lake/{table}", storage_options=options).to_pyarrow_table(columns=columns)


def place(row):
    headers = {header["key"]: header["value"].decode() for header in row["_headers"]}
    index = headers.get("kinesis.sub_sequence_number", "")
    return f"{row['_partition']} {headers['kinesis.sequence_number']} {index}"


bronze = read("bronze/events", ["n", "account", "_partition", "_offset", "_headers"]).to_pylist()
places = Counter(place(row) for row in bronze)
offsets = Counter((row["_partition"], row["_offset"]) for row in bronze)

# Offsets go on across splits and merges, so they say in which order the records of a key were read.
by_account = defaultdict(list)
for row in bronze:
    if row["account"] is not None and row["n"] < count:
        by_account[row["account"]].append((row["_offset"], row["n"]))
disorder = []
for account, rows in by_account.items():
    seen = set()
    newest = -1
    for offset, n in sorted(rows):
        if n in seen:
            continue
        seen.add(n)
        if n < newest:
            disorder.append([account, offset, n, newest])
        newest = max(newest, n)

silver = Counter(n for n in read("silver/events", ["n"])["n"].to_pylist() if n < count)
columns = ["account", "window_start", "events", "total", "first", "last", "revision"]


def results(table, columns):
    rows = read(table, columns).to_pylist()
    return [{**row, "window_start": int(row["window_start"].timestamp() * 1000)} for row in rows]


letters = read("dead_letters", ["reason", "_partition", "_headers", "_value", "_key"]).to_pylist()

print(
    json.dumps(
        {
            "places": sorted(places),
            "placesTwice": [where for where, times in places.items() if times != 1],
            "offsetsTwice": [list(where) for where, times in offsets.items() if times != 1],
            "disorder": disorder,
            "silver": sorted(silver),
            "silverTwice": [n for n, times in silver.items() if times != 1],
            "gold": results("gold/counts", columns),
            "lively": results("gold/lively", columns),
            "tens": results("gold/tens", ["window_start", "events", "total", "revision"]),
            "letters": sorted(f"{row['reason']} {place(row)}" for row in letters),
        }
    )
)
