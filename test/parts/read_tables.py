"""Reads Delta tables with pyarrow, deltalake and DuckDB, and prints their rows in one form that can be compared.

    read_tables.py JOBS.json        JOBS: [{"name", "path", "counts": ["<SQL condition>", ...]}, ...]

A job may name its "readers", and, where its path is s3://…, has the "storage" to find it: "endpoint", "region", "accessKeyId",
"secretAccessKey".

Prints {name: {reader: {"rows": [...], "counts": [...]}}}. Values: an integer, a date, a time, a timestamp (micros) is
"i:<n>", a double "f:<hex of its 8 bytes>", a string "s:...", bytes "b:<hex>", a decimal "d:<unscaled>".
"""

import decimal
import json
import math
import os
import struct
import sys
from urllib.parse import unquote

import deltalake
import duckdb
import duckdb_extension_delta
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

decimal.getcontext().prec = 80


def plain_type(t):
    """What a type is cast to before Python sees it: Python's own dates end in the year 9999."""
    if pa.types.is_timestamp(t):
        return pa.int64()
    if pa.types.is_date(t):
        return pa.int32()
    if pa.types.is_dictionary(t):
        return plain_type(t.value_type)
    if pa.types.is_string_view(t):
        return pa.string()
    if pa.types.is_list(t) or pa.types.is_large_list(t):
        return pa.list_(t.value_field.with_type(plain_type(t.value_type)))
    if pa.types.is_map(t):
        return pa.map_(plain_type(t.key_type), t.item_field.with_type(plain_type(t.item_type)))
    if pa.types.is_struct(t):
        return pa.struct([t.field(i).with_type(plain_type(t.field(i).type)) for i in range(t.num_fields)])
    return t


def plain(value, t):
    if value is None:
        return None
    if pa.types.is_map(t):
        return {"map": sorted([plain(k, t.key_type), plain(v, t.item_type)] for k, v in value)}
    if pa.types.is_list(t):
        return [plain(v, t.value_type) for v in value]
    if pa.types.is_struct(t):
        return {t.field(i).name: plain(value[t.field(i).name], t.field(i).type) for i in range(t.num_fields)}
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return f"i:{value}"
    if isinstance(value, float):
        return "f:nan" if math.isnan(value) else "f:" + struct.pack(">d", value).hex()
    if isinstance(value, str):
        return f"s:{value}"
    if isinstance(value, bytes):
        return f"b:{value.hex()}"
    if isinstance(value, decimal.Decimal):
        return f"d:{int(value.scaleb(t.scale))}"
    raise TypeError(f"{type(value)} of {t}")


def cast(array):
    t = plain_type(array.type)
    if array.type == t:
        return array
    try:
        return array.cast(t)
    except pa.ArrowNotImplementedError:
        return pa.array(array.to_pylist(), t)


def rows_of(table):
    columns = {}
    for name in table.column_names:
        array = table.column(name)
        array = cast(array.combine_chunks() if array.num_chunks != 1 else array.chunk(0))
        columns[name] = [plain(v, array.type) for v in array.to_pylist()]
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def delta_table(path, storage):
    if storage is None:
        return deltalake.DeltaTable(path)
    options = {
        "AWS_ENDPOINT_URL": storage["endpoint"],
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": storage["region"],
        "AWS_ACCESS_KEY_ID": storage["accessKeyId"],
        "AWS_SECRET_ACCESS_KEY": storage["secretAccessKey"],
    }
    return deltalake.DeltaTable(path, storage_options=options)


def file_system(storage):
    if storage is None:
        return pa.fs.LocalFileSystem()
    return pa.fs.S3FileSystem(
        endpoint_override=storage["endpoint"],
        region=storage["region"],
        access_key=storage["accessKeyId"],
        secret_key=storage["secretAccessKey"],
    )


def read_pyarrow(path, counts, storage):
    """Each file by itself, with the partition values of the log."""
    rows = []
    files = file_system(storage)
    for add in delta_table(path, storage).get_add_actions(flatten=False).to_struct_array().to_pylist():
        partition = add.get("partition") or add.get("partition_values") or {}
        file = os.path.join(path.removeprefix("s3://"), unquote(add["path"]))
        for row in rows_of(pq.ParquetFile(files.open_input_file(file)).read()):
            rows.append({**row, **{k: None if v is None else f"p:{v}" for k, v in partition.items()}})
    return {"rows": rows}


def read_deltalake(path, counts, storage):
    table = delta_table(path, storage)
    query = deltalake.QueryBuilder().register("t", table)
    found = [
        query.execute(f"select count(*) as n from t where {condition}").read_all()["n"][0].as_py()
        for condition in counts
    ]
    metadata, protocol = table.metadata(), table.protocol()
    return {
        "rows": rows_of(table.to_pyarrow_table()),
        "counts": found,
        "version": table.version(),
        "id": metadata.id,
        "partitionColumns": metadata.partition_columns,
        "protocol": [protocol.min_reader_version, protocol.min_writer_version],
        "schema": json.loads(table.schema().to_json()),
    }


def read_duckdb(path, counts, storage):
    folder = os.path.dirname(duckdb_extension_delta.__file__)
    files = [os.path.join(base, f) for base, _, names in os.walk(folder) for f in names]
    connection = duckdb.connect()
    connection.execute(f"LOAD '{next(f for f in files if f.endswith('.duckdb_extension'))}'")
    connection.execute("SET TimeZone = 'UTC'")
    source = f"delta_scan('{path}')"
    table = connection.execute(f"select * from {source}").to_arrow_table()
    found = [
        connection.execute(f"select count(*) from {source} where {condition}").fetchone()[0] for condition in counts
    ]
    return {"rows": rows_of(table), "counts": found}


def attempt(read, job):
    try:
        return read(job["path"], job.get("counts", []), job.get("storage"))
    except Exception as error:  # the test says which reader failed on what
        return {"error": f"{type(error).__name__}: {error}"}


with open(sys.argv[1]) as file:
    jobs = json.load(file)
readers = {"pyarrow": read_pyarrow, "deltalake": read_deltalake, "duckdb": read_duckdb}
answers = {
    job["name"]: {name: attempt(read, job) for name, read in readers.items() if name in job.get("readers", readers)}
    for job in jobs
}
json.dump(answers, sys.stdout)
