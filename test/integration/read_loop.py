"""Prints what deltalake finds in the lake of the loop: how often each number is in bronze and silver where that is not once, and all
gold rows."""
import json
import sys
from collections import Counter

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


bronze = read("bronze/events", ["n", "_partition", "_offset"])
places = Counter(zip(bronze["_partition"].to_pylist(), bronze["_offset"].to_pylist()))
silver = Counter(n for n in read("silver/events", ["n"])["n"].to_pylist() if n < count)
columns = ["account", "window_start", "events", "total", "first", "last", "revision"]


def results(table, columns):
    rows = read(table, columns).to_pylist()
    return [{**row, "window_start": int(row["window_start"].timestamp() * 1000)} for row in rows]


print(
    json.dumps(
        {
            "bronzeRows": bronze.num_rows,
            "bronzeTwice": [list(place) for place, times in places.items() if times != 1],
            "bronzePlaces": [list(place) for place in places],
            "silver": sorted(silver),
            "silverTwice": [n for n, times in silver.items() if times != 1],
            "gold": results("gold/counts", columns),
            "lively": results("gold/lively", columns),
            "tens": results("gold/tens", ["window_start", "events", "total", "revision"]),
        }
    )
)
