"""Addresses are shown without what opens them, in every form that MLflow and SQLAlchemy take."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL

from implicit_bias.tracking.addresses import redacted, shown
from implicit_bias.tracking.connection import first_line
from implicit_bias.tracking.describe import dataset
from implicit_bias.tracking.runs import texts

SECRET = "s3cr3t"
FORMS = [
    "http://me:s3cr3t@host/path",
    "https://s3cr3t@host:5000",
    "https://:s3cr3t@host",
    "http://me:s3cr3t/with:odd@signs@host/path",
    "http://me:s3cr3t?odd#signs@host/path",
    "postgresql://me:s3cr3t@host/db",
    "postgresql+psycopg2://host/db?user=me&password=s3cr3t",
    "postgresql://host/db?sslmode=require&sslpassword=s3cr3t",
    "mysql+pymysql://me:s3cr3t@host/db?charset=utf8",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3DODBC%3BPWD%3Ds3cr3t",
    "mssql+pyodbc://me:s3cr3t@host/db?driver=ODBC+Driver",
    "sqlite:///file:a.db?mode=ro&key=s3cr3t&uri=true",
    "databricks://s3cr3t@workspace",
    "s3://key:s3cr3t@bucket/path",
    "wasbs://container@account.blob.core.windows.net/path?sig=s3cr3t",
    "https://host/data.csv?X-Amz-Signature=s3cr3t&X-Amz-Expires=3",
    "https://host/?s3cr3t",
]


@pytest.mark.parametrize("address", FORMS)
def test_no_form_of_an_address_shows_its_secret(address: str) -> None:
    assert SECRET not in shown(address)
    for text in (address, f"no answer from '{address}', twice", f"({address})"):
        assert SECRET not in redacted(text)
        assert SECRET not in first_line(ValueError(f"{text}\nat all"))
    assert SECRET not in str(texts({"table": address}))
    assert SECRET not in json.dumps(dataset({"name": "a", "digest": "0", "source": address}).to_dictionary())


@given(
    st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1),
    st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1),
)
def test_whatever_a_password_is_made_of(name: str, password: str) -> None:
    address = URL.create("postgresql", name, f"<<{password}>>", "host", 5432, "db").render_as_string(False)
    assert redacted(address) == shown(address) == "postgresql://***@host:5432/db"


@pytest.mark.parametrize(
    "text", ["DRIVER={a};SERVER=b;PWD=s3cr3t;", "password: s3cr3t", "token='s3cr3t'", "api_key=s3cr3t&a=1"]
)
def test_secrets_by_their_names(text: str) -> None:
    assert SECRET not in redacted(text)


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:///mlflow.db",
        "http://127.0.0.1:5000",
        "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning",
        "sqlite:///a.db?timeout=10",
        (Path("/a b") / "c").as_uri(),
        "Since width sweep #2: solver flow → descent.",
    ],
)
def test_what_holds_no_secret_is_shown_as_it_is(address: str) -> None:
    assert shown(address) == redacted(address) == address
