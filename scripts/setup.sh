#!/usr/bin/env bash
# Makes the virtual environment from the pins. Refuses a CUDA build of PyTorch (several GB): where pip
# would fetch one, the neural extra is left out with a sentence, and everything else works without it.
# DPSYNTH_ALLOW_CUDA=1 accepts such a build.
set -euo pipefail
venv="${VENV:-.venv}"
python="${PYTHON:-python3}"
cd "$(dirname "$0")/.."

"$python" - <<'PY' || exit 1
import sys
if sys.version_info < (3, 11):
    sys.exit(f"dpsynth needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
PY
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

echo "Installing dpsynth with its pinned dependencies into $venv ..."
pip install --quiet --constraint constraints.txt --editable '.[datasets,baselines,dev]'

wants_cuda() {
    pip install --dry-run --quiet --constraint constraints.txt --report - '.[neural]' |
        "$venv/bin/python" -c 'import json, sys
names = {i["metadata"]["name"].lower() for i in json.load(sys.stdin)["install"]}
sys.exit(0 if any(n.startswith(("nvidia-", "triton", "cuda-")) for n in names) else 1)'
}
if [ "${DPSYNTH_ALLOW_CUDA:-0}" != 1 ] && wants_cuda; then
    echo "Neural generators are left out: pip would fetch a CUDA build of PyTorch here." >&2
    echo "Point PIP_FIND_LINKS at PyTorch's CPU wheels, or set DPSYNTH_ALLOW_CUDA=1, and run 'make clean setup'." >&2
else
    pip install --quiet --constraint constraints.txt --editable '.[neural]'
fi
pip check
touch "$venv/.ready"
