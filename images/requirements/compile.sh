#!/bin/sh
# Pins what the images install to what requirements.lock has tested: run it after `make lock`.
set -eu
cd "$(dirname "$0")/../.."
excludes=$(mktemp)
trap 'rm -f "$excludes"' EXIT

# compile NAME 'PACKAGES LEFT OUT' SOURCE...
compile() {
    name=$1; printf '%s\n' $2 > "$excludes"; shift 2
    uv pip compile --quiet --python-version 3.11 --constraint requirements.lock --excludes "$excludes" \
        --no-annotate --no-emit-index-url --generate-hashes \
        --custom-compile-command images/requirements/compile.sh \
        --output-file "images/requirements/$name.txt" "$@"
}

# torch stands alone, so that nothing else can change its layer; triton (1 GB) is for torch.compile only.
grep -o '^torch==[0-9.]*' requirements.lock > "$excludes.in"
compile torch triton - < "$excludes.in"
rm "$excludes.in"
compile trainer torch pyproject.toml --extra train
# Optuna imports alembic and SQLAlchemy only for studies in a database, which there are none of.
compile operator 'obstore alembic sqlalchemy mako markupsafe' pyproject.toml --extra operator
# ncnn needs these to download models, which it is not to do.
compile server 'tqdm requests portalocker' pyproject.toml --extra serve
# It comes on top of the server's packages.
compile batch 'msgspec numpy obstore pyyaml' pyproject.toml --extra batch
