#!/bin/sh
# Measures on a GPU what `benchmarks.compiled` estimates; some minutes.
#
#     make setup-test && .venv/bin/pip install -e '.[cuda]'
#     benchmarks/on_gpu.sh [FILE] [SIZE]
#
# First whether fused attention computes what the plain form does, which is told again at
# the end, and is the exit code; then the time of a frame beside that of `sam2`, eager and
# compiled, with the memory of each; a training step on synthetic videos; last measured
# and estimated times side by side. Results are added to FILE (docs/performance.json)
# under "gpu". SIZE is that of SAM2.1 (large). One GPU is used, the first that is visible.
set -eu
cd "$(dirname "$0")/.."
results=${1:-docs/performance.json} size=${2:-large}
python=${PYTHON:-.venv/bin/python}
export JAX_PLATFORMS="${JAX_PLATFORMS:-cuda,cpu}"
# PyTorch shares the GPU: JAX must not take three quarters of its memory at once.
export XLA_PYTHON_CLIENT_PREALLOCATE=false
visible=${CUDA_VISIBLE_DEVICES:-0}
export CUDA_VISIBLE_DEVICES="${visible%%,*}"

parity=0
$python -m pytest -q tests/sam2/test_fused_attention.py || parity=$?
$python -m benchmarks.video --size="$size" --objects=1,4 --rounds=20 \
    --against=sam2,sam2-compiled --json="$results"

data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
$python -m c2g_jax.prepare --toy --toy_size=tiny --data_dir="$data"
$python -m benchmarks.training --config=configs/open_pvsg.py --steps=10 \
    --config.data.dir="$data" --config.data.name=toy_pvsg --config.data.held_out=0 \
    --config.sam2.size="$size" --config.sam2.checkpoint= --json="$results"
$python -m benchmarks.estimates --json="$results"
[ "$parity" = 0 ] || echo "fused attention differs from the plain form: see above" >&2
exit "$parity"
