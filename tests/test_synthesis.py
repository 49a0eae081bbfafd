"""The front door: reproducible with a seed, honest without one, and safe to save and load."""

import io
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.archive import sealed
from dpsynth.data.files import load_file
from dpsynth.errors import DpsynthError, FileError, InvalidValueError, UnknownNameError
from dpsynth.pgm.blocks import BLOCK_ROWS
from dpsynth.synthesis import Synthesis, build_generator, synthesize
from tests.harness.toy_generators import Toy
from tests.tables import coded_table, dependent_codes

TOY = "tests.harness.toy_generators:Toy"
TABLE = coded_table(dependent_codes(300, (4, 3), rng=np.random.default_rng(0)), (4, 3))


def fit(**changes: Any) -> Synthesis:
    return synthesize(TABLE, **{"generator": TOY, "epsilon": 1.0, "seed": 3, **changes})


def test_the_same_seed_gives_the_same_rows() -> None:
    first, second, other = fit(), fit(), fit(seed=4)
    assert first.sample(50).frame.equals(second.sample(50).frame)
    assert first.sample(50).frame.equals(first.sample(50).frame)
    assert not first.sample(50).frame.equals(other.sample(50).frame)
    assert first.receipt.to_json() == second.receipt.to_json()


def test_a_seed_is_research_mode_and_none_is_release_mode() -> None:
    assert fit().receipt.not_for_release
    released = fit(seed=None)
    assert not released.receipt.not_for_release
    assert released.sampling_seed is None
    assert not released.sample(50).frame.equals(released.sample(50).frame)


def test_the_streams_of_a_seed_are_apart() -> None:
    from dpsynth.synthesis import random_streams

    noise, rng, seed = random_streams(3)
    from dpsynth.privacy.events import NoiseLaw

    draws = noise.gaussian(1.0, 8, law=NoiseLaw.CONTINUOUS)
    assert not np.allclose(draws, rng.normal(size=8))
    assert not np.allclose(draws, np.random.default_rng(seed).normal(size=8))
    assert not np.allclose(draws, np.random.default_rng(3).normal(size=8))


def test_the_size_comes_from_the_ledger_and_not_from_the_table() -> None:
    sizes = {len(fit(seed=seed).sample()) for seed in range(5)}
    assert len(sizes) > 1


def test_a_frame_and_a_file_need_a_schema(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    TABLE.frame.to_csv(path, index=False)
    schema = tmp_path / "schema.toml"
    schema.write_text(TABLE.schema.to_toml())
    expected = fit().sample(20).frame
    for data in (TABLE.frame, str(path), path):
        for rules in (TABLE.schema, schema, str(schema)):
            found = synthesize(data, schema=rules, generator=TOY, epsilon=1.0, seed=3)
            assert found.sample(20).frame.equals(expected)
        with pytest.raises(InvalidValueError, match="schema is None"):
            synthesize(data, generator=TOY, epsilon=1.0)
    with pytest.raises(InvalidValueError, match="left out for a Table"):
        fit(schema=TABLE.schema)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"epsilon": 0.0}, "epsilon is 0.0"),
        ({"epsilon": -1.0}, "epsilon is -1.0"),
        ({"epsilon": float("nan")}, "epsilon is nan"),
        ({"epsilon": float("inf")}, "epsilon is inf"),
        ({"delta": 0.0}, "delta is 0.0"),
        ({"delta": 1.0}, "delta is 1.0"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"relation": "swap"}, "relation is 'swap'"),
        ({"accountant": "zdcp"}, "did you mean 'zcdp'"),
        ({"generator": "mts"}, "did you mean 'mst'"),
    ],
)
def test_a_bad_value_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DpsynthError) as caught:
        fit(**changes)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_paid_is_refused_before_the_data_are_read() -> None:
    with pytest.raises(InvalidValueError, match="delta"):
        synthesize("no-such-file.csv", schema="none.toml", generator=TOY, epsilon=1.0, delta=0.0)


class TestSaved:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "model.zip"
        fit(generator=Toy(floor=0.5)).save(path)
        return path

    def test_loads_with_identical_samples(self, path: Path) -> None:
        saved, loaded = fit(generator=Toy(floor=0.5)), Synthesis.load(path, generator=Toy)
        assert loaded.sample(100).frame.equals(saved.sample(100).frame)
        assert loaded.receipt == saved.receipt
        assert loaded.generator == saved.generator
        assert loaded.schema == saved.schema

    def test_the_same_model_gives_the_same_bytes(self, path: Path, tmp_path: Path) -> None:
        fit(generator=Toy(floor=0.5)).save(tmp_path / "again.zip")
        assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()

    def test_holds_no_seed_of_the_noise_and_no_pickle(self, path: Path) -> None:
        with zipfile.ZipFile(path) as bundle:
            names = set(bundle.namelist())
            manifest = json.loads(bundle.read("manifest.json"))
        assert {n.rpartition(".")[2] for n in names} == {"json", "toml", "npy"}
        assert 3 not in manifest.values()

    def test_a_file_cannot_name_code_to_import(self, path: Path) -> None:
        _rewrite(path, generator=TOY)
        with pytest.raises(UnknownNameError, match="unknown generator"):
            Synthesis.load(path)

    def test_an_array_of_pickles_is_refused(self, path: Path) -> None:
        buffer = io.BytesIO()
        np.save(buffer, np.array([_Bomb()], dtype=object), allow_pickle=True)
        _rewrite(path, part=("arrays/weights_0.npy", buffer.getvalue()))
        with pytest.raises(FileError, match="not a valid"):
            Synthesis.load(path, generator=Toy)
        assert not _Bomb.exploded

    def test_a_newer_format_is_one_sentence(self, path: Path) -> None:
        _rewrite(path, format="dpsynth model 2")
        with pytest.raises(FileError, match="'dpsynth model 2', which this version") as caught:
            Synthesis.load(path, generator=Toy)
        assert str(caught.value).count(".") == 2  # the file's name has one
        _rewrite(path, format="another program 1")
        with pytest.raises(FileError, match="not a saved model of the format 'dpsynth model 1'"):
            Synthesis.load(path, generator=Toy)

    def test_a_file_of_before_the_seal_loads(self, path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-73] + b"\0\0")
        loaded = Synthesis.load(path, generator=Toy)
        assert loaded.sample(20).frame.equals(fit(generator=Toy(floor=0.5)).sample(20).frame)

    @pytest.mark.parametrize("shape", ["(4000000000000,)", "(-1,)", "(3, 3)"])
    def test_an_array_that_lies_about_its_size_is_refused(self, path: Path, shape: str) -> None:
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
        header += " " * ((-11 - len(header)) % 64) + "\n"
        content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
        _rewrite(path, part=("arrays/weights_0.npy", content + bytes(32)))
        with pytest.raises(FileError, match="not as long as it says"):
            Synthesis.load(path, generator=Toy)

    @pytest.mark.parametrize("cut", [0, 10, 400, -10])
    def test_a_cut_file_is_refused(self, path: Path, cut: int) -> None:
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(FileError, match="not a saved model, or damaged"):
            Synthesis.load(path, generator=Toy)

    def test_an_altered_part_is_refused(self, path: Path) -> None:
        with zipfile.ZipFile(path) as bundle:
            parts = {n: bundle.read(n) for n in bundle.namelist()}
        parts["receipt.json"] = parts["receipt.json"].replace(b"research", b"releases")
        with zipfile.ZipFile(path, "w") as bundle:
            for name, content in parts.items():
                bundle.writestr(name, content)
        with pytest.raises(FileError, match=r"the checksum of receipt\.json does not match"):
            Synthesis.load(path, generator=Toy)

    def test_parts_that_the_manifest_does_not_list_are_refused(self, path: Path) -> None:
        with zipfile.ZipFile(path) as bundle:
            parts = {n: bundle.read(n) for n in bundle.namelist()}
        short = {n: c for n, c in parts.items() if not n.startswith("arrays/")}
        for changed in (parts | {"arrays/more.npy": b""}, short):
            path.write_bytes(sealed(changed))
            with pytest.raises(FileError, match="not those that the manifest lists"):
                Synthesis.load(path, generator=Toy)

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [(None, "no such file"), (b"text", "not a saved model"), (b"", "not a saved model")],
    )
    def test_anything_else_is_refused(
        self, tmp_path: Path, content: bytes | None, sentence: str
    ) -> None:
        path = tmp_path / "other.zip"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(FileError, match=sentence):
            Synthesis.load(path)


class _Bomb:
    exploded = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (_explode, ())


def _explode() -> None:
    _Bomb.exploded = True


def test_the_bomb_is_live() -> None:
    pickle.loads(pickle.dumps(_Bomb()))
    assert _Bomb.exploded
    _Bomb.exploded = False


def _rewrite(path: Path, *, part: tuple[str, bytes] | None = None, **manifest: Any) -> None:
    """Change a saved model as a forger would, checksums included."""
    from hashlib import sha256

    with zipfile.ZipFile(path) as bundle:
        parts = {n: bundle.read(n) for n in bundle.namelist()}
    if part is not None:
        parts[part[0]] = part[1]
    record = json.loads(parts.pop("manifest.json"))
    record |= manifest | {"parts": {n: sha256(c).hexdigest() for n, c in parts.items()}}
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("manifest.json", json.dumps(record))
        for name, content in parts.items():
            bundle.writestr(name, content)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, dpsynth, dpsynth.cli; "
        "print([m for m in ('torch', 'opacus', 'sklearn', 'matplotlib', 'scipy', 'pandas', 'numpy',"
        " 'dp_accounting', 'rich') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_public_name_resolves() -> None:
    for name in dpsynth.__all__:
        assert getattr(dpsynth, name) is not None
        assert name in dir(dpsynth)
    with pytest.raises(AttributeError, match="no attribute 'synthesise'"):
        dpsynth.synthesise  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_a_frame_is_what_comes_back() -> None:
    assert isinstance(fit().sample(3).frame, pd.DataFrame)


@pytest.mark.parametrize(
    ("generator", "suffix"), [("mst", ".csv"), ("mst", ".parquet"), ("privbayes", ".csv")]
)
def test_a_file_gets_the_rows_of_sample_in_blocks(
    generator: str, suffix: str, tmp_path: Path
) -> None:
    model, rows = fit(generator=generator), BLOCK_ROWS + 500
    path = tmp_path / f"rows{suffix}"
    assert model.sample_to(path, rows) == rows
    table = model.sample(rows)
    pd.testing.assert_frame_equal(load_file(path, TABLE.schema).frame, table.frame)
    first = path.read_bytes()
    model.sample_to(path, rows)
    assert path.read_bytes() == first


def test_a_file_has_the_size_of_the_model_by_default(tmp_path: Path) -> None:
    model = fit(generator="mst")
    assert model.sample_to(tmp_path / "rows.csv") == len(model.sample())
    with pytest.raises(InvalidValueError, match="n is 0"):
        model.sample_to(tmp_path / "none.csv", 0)
    assert not (tmp_path / "none.csv").exists()


@pytest.mark.parametrize("name", ["json:JSONDecoder", "json:dumps"])
def test_what_is_no_generator_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(InvalidValueError, match=f"generator is '{name}', .*subclass"):
        build_generator(name)
