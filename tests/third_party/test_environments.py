"""Environments: made from pins, known by them, removed with nothing else; no registry is asked."""

import sys
from pathlib import Path

import pytest

from dpsynth.errors import FileError, ThirdPartyError
from dpsynth.third_party import environments
from dpsynth.third_party.environments import Environment, environments_folder, find_python

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
FAKE_UV = """#!{python}
import sys
from pathlib import Path
words = sys.argv[1:]
if words[0] == "venv":
    home = Path(words[-1])
    (home / "bin").mkdir(parents=True, exist_ok=True)
    (home / "pyvenv.cfg").write_text("")
    (home / "bin" / "python").write_text("")
    assert words[words.index("--python") + 1] == "{version}"
elif "--dry-run" in words:
    print(" + pandas==2\\n + {extra}==1", file=sys.stderr)
elif "{extra}" == "broken":
    print("resolving ...\\nno version of broken==1\\nso it cannot be", file=sys.stderr)
    sys.exit(1)
"""


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    """Return a file of no pins, so that nothing is fetched."""
    file = tmp_path / "requirements.txt"
    file.write_text("")
    return file


def environment(pins: Path, **changes) -> Environment:
    settings = {
        "name": "toy",
        "requirements": pins,
        "pythons": (HERE,),
        "home": pins.parent / "toy",
    }
    return Environment(**{**settings, **changes})


def uv(folder: Path, patch: pytest.MonkeyPatch, *, extra: str = "numpy") -> None:
    """Put a stand-in for uv on the PATH."""
    file = folder / "uv"
    file.write_text(FAKE_UV.format(python=sys.executable, version=HERE, extra=extra))
    file.chmod(0o755)
    patch.setattr(environments.shutil, "which", lambda _: str(file))


@pytest.mark.slow
def test_it_is_made_with_venv_and_pip_from_its_pins(
    pins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments.shutil, "which", lambda _: None)
    made = environment(pins)
    assert made.state == "not made"
    with pytest.raises(ThirdPartyError, match=r"not made; `dpsynth env create toy`"):
        made.check_ready()
    made.create()
    assert made.state == "ready"
    made.check_ready()
    assert made.python.exists()
    pins.write_text("# changed\n")
    assert made.state == "made from other pins"
    made.remove()
    assert (made.state, made.home.exists()) == ("not made", False)
    pins.write_text(f"nothing-of-this-name @ file://{pins.parent}/nowhere\n")
    with pytest.raises(ThirdPartyError, match=r"it does not install: .*nowhere"):
        made.create()
    assert made.state == "unfinished"


def test_it_is_made_with_uv_where_that_is_here(pins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv(pins.parent, monkeypatch)
    made = environment(pins)
    made.create()
    assert made.state == "ready"
    uv(pins.parent, monkeypatch, extra="broken")
    with pytest.raises(ThirdPartyError, match=r"resolving \.\.\. \| no version .* \| so it cannot"):
        made.create()
    assert made.state == "unfinished"


def test_a_cuda_build_is_refused_unless_it_is_wanted(
    pins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv(pins.parent, monkeypatch, extra="nvidia-cudnn-cu13")
    made = environment(pins)
    with pytest.raises(ThirdPartyError, match="CUDA build"):
        made.create()
    assert made.state == "unfinished"
    made.create(cuda=True)
    assert made.state == "ready"


def test_a_file_in_its_place_is_left_alone(pins: Path) -> None:
    made = environment(pins)
    made.home.write_text("years of work")
    for act in (made.create, made.remove):
        with pytest.raises(FileError, match="it is no environment"):
            act()
    assert made.home.read_text() == "years of work"


def test_what_is_no_environment_is_left_alone(pins: Path) -> None:
    made = environment(pins)
    with pytest.raises(FileError, match="no such environment"):
        made.remove()
    made.home.mkdir()
    (made.home / "thesis.txt").write_text("years of work")
    for act in (made.create, made.remove):
        with pytest.raises(FileError, match="it is no environment"):
            act()
    assert (made.home / "thesis.txt").read_text() == "years of work"
    assert made.state == "unfinished"


def test_a_place_that_is_not_writable_is_told(pins: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        environment(pins, home=pins / "toy").create()


def test_a_python_is_found_or_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_python(["2.1", HERE], who="toy") == Path(sys.executable)
    with pytest.raises(ThirdPartyError, match=r"needs Python 2\.1 or 2\.2"):
        find_python(["2.1", "2.2"], who="toy")
    # A name on the PATH that stands for another one, as a version manager's may.
    monkeypatch.setattr(environments.shutil, "which", lambda _: sys.executable)
    with pytest.raises(ThirdPartyError, match="none is on the PATH"):
        find_python(["2.1"], who="toy")


def test_their_place_is_the_variables_or_the_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DPSYNTH_ENVIRONMENTS", str(tmp_path))
    assert environments_folder() == tmp_path
    monkeypatch.delenv("DPSYNTH_ENVIRONMENTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert environments_folder() == tmp_path / "cache" / "dpsynth" / "environments"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert environments_folder() == tmp_path / ".cache" / "dpsynth" / "environments"
