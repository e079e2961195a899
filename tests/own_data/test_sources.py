"""Tables from where data live: every kind of dataset gives the pipeline the same numbers."""

import io
import sqlite3
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog

from implicit_bias.pipelines.own_data import prepare_data
from implicit_bias.sweeps.data import OwnData
from tests.support.their_project import tables

# Multiples of 2^-10: at most 13 digits in decimals, which every format and every reader keeps to the last bit.
X, Y = (table.mul(1024).round().div(1024) for table in tables(n=5, D=7, m=2))
TABLE = pd.concat([X, Y], axis=1)


def write(folder: Path) -> None:
    """The same table in every kind of file."""
    TABLE.to_csv(folder / "table.csv", index=False)
    TABLE.to_parquet(folder / "table.parquet")
    TABLE.to_excel(folder / "table.xlsx", index=False)
    TABLE.to_json(folder / "table.json", double_precision=15)
    TABLE.to_feather(folder / "table.feather")
    np.save(folder / "table.npy", TABLE.to_numpy())
    with sqlite3.connect(folder / "table.db") as connection:
        TABLE.to_sql("measurements", connection, index=False)
    connection.close()
    with fsspec.open("memory:///table.csv", "w") as file:
        TABLE.to_csv(file, index=False)


SOURCES: dict[str, dict[str, Any]] = {
    "csv": {"type": "pandas.CSVDataset", "filepath": "{folder}/table.csv"},
    "file": {"type": "pandas.CSVDataset", "filepath": "file://{folder}/table.csv"},
    "memory": {"type": "pandas.CSVDataset", "filepath": "memory:///table.csv"},
    "parquet": {"type": "pandas.ParquetDataset", "filepath": "{folder}/table.parquet"},
    "excel": {"type": "pandas.ExcelDataset", "filepath": "{folder}/table.xlsx"},
    "feather": {"type": "pandas.FeatherDataset", "filepath": "{folder}/table.feather"},
    "json": {
        "type": "pandas.JSONDataset",
        "filepath": "{folder}/table.json",
        "load_args": {"precise_float": True},
    },
    "sql": {
        "type": "pandas.SQLTableDataset",
        "table_name": "measurements",
        "credentials": {"con": "sqlite:///{folder}/table.db"},
    },
    "query": {
        "type": "pandas.SQLQueryDataset",
        "sql": "select * from measurements",
        "credentials": {"con": "sqlite:///{folder}/table.db"},
    },
    "lazy": {"type": "polars.LazyPolarsDataset", "filepath": "{folder}/table.parquet", "file_format": "parquet"},
    "pickle": {"type": "pickle.PickleDataset", "filepath": "{folder}/table.pkl"},
}


def filled(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {name: filled(each, folder) for name, each in value.items()}
    return value.format(folder=folder.as_posix()) if isinstance(value, str) else value


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_same_data_set(source: str, tmp_path: Path) -> None:
    write(tmp_path)
    TABLE.to_pickle(tmp_path / "table.pkl")
    loaded = DataCatalog.from_config({"table": filled(SOURCES[source], tmp_path)}).load("table")
    data = prepare_data(loaded, OwnData(targets=["y0", "y1"]))["own-draw=0"]
    np.testing.assert_array_equal(data["X"], X)
    np.testing.assert_array_equal(data["Y"], Y)


def test_a_numpy_file_has_columns_by_their_number(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, TABLE.to_numpy())
    data = prepare_data(np.load(io.BytesIO(buffer.getvalue())), OwnData(targets=[7, 8]))["own-draw=0"]
    np.testing.assert_array_equal(data["X"], X)
    np.testing.assert_array_equal(data["Y"], Y)
