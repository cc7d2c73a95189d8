#!/bin/sh
# Installs a lock into /opt/venv: `install.sh LOCK`. The installer itself stays in the build's cache mount,
# so that no image carries it.
set -eu
version=0.13.9
uv=/var/cache/uv/tool-$version/bin/uv
export UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy VIRTUAL_ENV=/opt/venv
[ -z "${PIP_CERT:-}" ] || export SSL_CERT_FILE="$PIP_CERT"
[ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="$PIP_INDEX_URL"
if [ ! -x $uv ]; then
    PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl) python3 -m pip install --quiet --no-cache-dir \
        --root-user-action=ignore --target "${uv%/bin/uv}" "uv==$version"
fi
[ -d /opt/venv ] || $uv venv --quiet --no-project --python /usr/bin/python3 /opt/venv
# Pods have read-only files: without bytecode each start would compile everything again.
install="$uv pip install --quiet --compile-bytecode"
torch=$(sed -n 's/^\(torch==[0-9.]*\).*/\1/p' "$1")
if [ -n "$torch" ] && [ -n "${TORCH_INDEX_URL:-}" ]; then  # another index has builds of other hashes
    $install --index-url "$TORCH_INDEX_URL" "$torch"
else
    $install --no-deps --require-hashes --requirement "$1"
fi
