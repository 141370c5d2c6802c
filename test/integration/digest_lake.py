"""Reads every table of a lake with deltalake, pyarrow and DuckDB, and prints for each table and reader the number of rows and a
digest of all rows, sorted, without _processed_at. Two lakes that hold the same rows print the same."""
import glob
import hashlib
import json
import os
import sys

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable

LEFT_OUT = {"_processed_at", "incarnation"}


def digest(table: pa.Table) -> list:
    names = sorted(name for name in table.column_names if name not in LEFT_OUT)
    rows = sorted(json.dumps(row, default=repr, sort_keys=True) for row in table.select(names).to_pylist())
    return [len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()]


def main(lake: str) -> None:
    result = {}
    for log in sorted(glob.glob(f"{lake}/*/*/_delta_log") + glob.glob(f"{lake}/*/_delta_log")):
        path = os.path.dirname(log)
        name = os.path.relpath(path, lake)
        table = DeltaTable(path)
        files = table.file_uris()
        by_deltalake = table.to_pyarrow_table()
        # The files alone, without the log's partition values, as any Parquet reader sees them.
        by_pyarrow = ds.dataset(files, format="parquet").to_table() if files else pa.table({})
        by_duckdb = (
            duckdb.connect().execute("select * from read_parquet(?, union_by_name => true)", [files]).to_arrow_table()
            if files
            else pa.table({})
        )
        result[name] = {
            "deltalake": digest(by_deltalake),
            "pyarrow": digest(by_pyarrow),
            "duckdb": digest(by_duckdb),
        }
    print(json.dumps(result))


main(sys.argv[1])
