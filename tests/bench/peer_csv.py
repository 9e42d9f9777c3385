"""How fast other libraries parse a CSV file into numbers: peer_csv.py LIBRARY FILE THREADS ROUNDS

Prints, as bench_parse does, the megabytes of text a second of each round. Numbers become 32-bit floats, the last column
64-bit ones, as dtrain keeps them.
"""
import os
import sys
import time

library, file, threads, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
os.environ["POLARS_MAX_THREADS"] = str(threads)
with open(file, "rb") as text:
    names = text.readline().decode().strip().split(",")


def pandas_rows():
    kinds = {name: "float32" for name in names[:-1]}
    return len(pandas.read_csv(file, engine="c", dtype=kinds | {names[-1]: "float64"}))


def pyarrow_rows():
    kinds = {name: pyarrow.float32() for name in names[:-1]}
    convert = csv.ConvertOptions(column_types=kinds | {names[-1]: pyarrow.float64()})
    return csv.read_csv(file, csv.ReadOptions(use_threads=threads > 1), convert_options=convert).num_rows


def polars_rows():
    kinds = {name: polars.Float32 for name in names[:-1]}
    return len(polars.read_csv(file, schema_overrides=kinds | {names[-1]: polars.Float64}))


if library == "pandas":
    import pandas
elif library == "pyarrow":
    import pyarrow
    from pyarrow import csv

    pyarrow.set_cpu_count(threads)
else:
    import polars
read = {"pandas": pandas_rows, "pyarrow": pyarrow_rows, "polars": polars_rows}[library]
for _ in range(rounds):
    begin = time.perf_counter()
    rows = read()
    print(library, rows, f"{os.path.getsize(file) / 1e6 / (time.perf_counter() - begin):.1f}", flush=True)
