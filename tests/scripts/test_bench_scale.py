"""The bench of large records: what it makes fits its schema, and its tables are filled."""

from pathlib import Path

import bench_scale
import pytest

from dpsynth.data.parts import part_paths, read_parts


def test_records_fit_their_schema_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_scale, "_PART", 2000)
    monkeypatch.setattr(bench_scale, "_CHUNK", 900)
    bench_scale.make(tmp_path, 4500)
    schema, paths = bench_scale.schema_of_records(), part_paths(tmp_path)
    assert len(paths) == 3
    assert len(schema.columns) == 20
    assert sum(len(table) for table in read_parts(paths, schema, rows=1000)) == 4500


def test_tables_of_small_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(bench_scale.__file__).parents[1]))
    bench_scale.make(tmp_path, 3000)
    counted = bench_scale.counting(tmp_path)
    assert all(float(cell) > 0 for _, *cells in counted.rows for cell in cells)
    rows = bench_scale.fits(tmp_path, ["independent"], ["closed", "open"], 50, 120.0).rows
    assert [row[:2] for row in rows] == [("independent", "closed"), ("independent", "open")]
    for row in rows:
        assert 50 < float(row[4]) < 2048
