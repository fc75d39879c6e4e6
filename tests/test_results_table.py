"""Results as one table: several programs read the same of it, and its columns are documented."""

import re
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.dataset
import pyarrow.parquet
import pytest
from doc_pages import ROOT
from store_faults.command import in_one_process, paint, run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of results of two data sets, single-label and multi-label, one with a class not in test."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        in_one_process(patch)
        patch.chdir(folder)
        for number in range(20):
            paint(Path(f"pictures/{number:02}.png"), 12 * number)
        one = [f"{number:02}.png,{'xy'[number % 2]}\n" for number in range(20)]
        Path("pictures/one.csv").write_text("image,label\n" + "".join(one))
        many = [f"{number:02}.png,{'é;y' if number % 3 else 'y'}\n" for number in range(20)]
        Path("pictures/many.csv").write_text("image,labels\n" + "".join(many))
        for name, strategy in (("one", "focal"), ("many", "oversample")):
            place = ("--dataset", f"pictures/{name}.csv", "--encoder", "mean-colour")
            assert run("extract", *place).exit_code == 0
            trained = run("train", *place, "--strategy", strategy, "--seeds", 2, "--epochs", 1)
            assert trained.exit_code == 0, trained.output
    return str(folder / "cache/runs")


def test_pandas_arrow_and_duckdb_read_one_and_the_same_table(runs: str) -> None:
    ours = pd.read_parquet(runs)
    assert len(ours) == 2 * 2 * 2 * 2
    assert set(ours["class_name"]) == {"x", "y", "é"}
    arrow = pyarrow.dataset.dataset(runs).to_table().to_pandas()
    duck = duckdb.sql(f"select * from '{runs}/**/*.parquet'").df()
    order = ["run", "class_name"]
    for other in (arrow, duck):
        pd.testing.assert_frame_equal(
            ours.sort_values(order, ignore_index=True),
            other.sort_values(order, ignore_index=True),
            check_dtype=False,
        )


def test_every_file_has_the_same_columns_of_the_same_types(runs: str) -> None:
    schemas = [pyarrow.parquet.read_schema(path).remove_metadata() for path in Path(runs).rglob("*.parquet")]
    assert len(schemas) == 8
    assert all(schema.equals(schemas[0]) for schema in schemas)


def test_the_page_on_columns_names_all_there_are_and_their_ranges_hold(runs: str) -> None:
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?) \| (.+?) \|", page, re.MULTILINE)
    documented = {name: kind for names, kind in rows for name in re.findall(r"`(\w+)`", names)}
    table = pyarrow.dataset.dataset(runs).to_table()
    assert set(documented) == set(table.column_names)
    kinds = {"text": "string", "integer": "int64", "boolean": "bool", "number": "double"}
    for field in table.schema:
        kind, _, span = documented[field.name].partition(", ")
        assert str(field.type) == kinds[kind], field.name
        if span:
            assert span == "0 to 1"
            values = table[field.name].to_pandas().dropna()
            assert values.between(0, 1).all(), field.name
