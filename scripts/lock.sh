#!/usr/bin/env bash
# Resolve pyproject.toml in fresh environments and write requirements.lock (what a run needs) and
# requirements-dev.lock (what the tests add). Local version tags such as "+cpu" are cut off, because
# the public registry knows no such versions.
set -euo pipefail
python=${1:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

freeze() { "$folder/venv/bin/python" -m pip freeze --exclude gradual | sed -E 's/\+[A-Za-z0-9.]+$//' | LC_ALL=C sort -f; }

"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet "torch==2.13.0"
"$folder/venv/bin/python" -m pip install --quiet --editable .
freeze >"$folder/run"
"$folder/venv/bin/python" -m pip install --quiet --editable '.[dev]'
freeze >"$folder/dev"

{
    echo "# What a run needs, exactly. Written by \`make lock\` from pyproject.toml."
    cat "$folder/run"
} >requirements.lock
{
    echo "# What the tests need beside requirements.lock. Written by \`make lock\` from pyproject.toml."
    LC_ALL=C comm -13 <(LC_ALL=C sort "$folder/run") <(LC_ALL=C sort "$folder/dev") | LC_ALL=C sort -f
} >requirements-dev.lock
