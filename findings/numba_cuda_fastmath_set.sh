#!/usr/bin/env bash
# numba-cuda takes a set of fast-math flags for full fast-math.
#
# numba's @njit accepts fastmath={"contract"}: fuse multiply and add, nothing else; division stays that of IEEE 754.
# A CUDA kernel may call such a CPU function: numba-cuda compiles it as a device function, with the CPU
# function's own options. There any non-empty set counts as fastmath=True: division in single precision becomes
# div.approx. So a library that allows its kernels contraction alone gets approximate division on a GPU, without a
# word, although the CUDA kernel itself asks for no fast-math.
#
# Seen with numba 0.68.1, numba-cuda 0.30.4, NVVM 13.0 (no device is needed):
#   CPU,  fastmath={"contract"}: fdiv contract
#   CUDA, fastmath={"contract"}: div.approx.f32
#   CUDA, fastmath=False:        div.rn.f32
#   CUDA, fastmath=True:         div.approx.f32
# Exit code 0 as long as this is so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet numba==0.68.1 numba-cuda==0.30.4 "cuda-toolkit[nvcc,nvrtc,nvvm]==13.0.2"

cat > "$work/show.py" <<'PYTHON'
import re
import types

import numba
import numba.cuda.dispatcher as dispatcher
from numba import cuda, float32

# A device function asks the current device for its compute capability, compile_ptx does not need one.
dispatcher.get_current_device = lambda: types.SimpleNamespace(compute_capability=(9, 0))


def divide(a, b):
    return a / b


def on_cuda(fastmath):
    quotient = numba.njit(fastmath=fastmath)(divide)

    def kernel(out, a, b):
        out[0] = quotient(a, b)

    ptx, _ = cuda.compile_ptx(kernel, (float32[:], float32, float32), cc=(9, 0))
    return re.search(r"div\.\S+", ptx)[0]


on_cpu = numba.njit(fastmath={"contract"}, error_model="numpy")(divide)
on_cpu(numba.float32(1), numba.float32(3))
(ir,) = on_cpu.inspect_llvm().values()
seen = {
    'CPU,  fastmath={"contract"}': re.search(r"fdiv( \w+)*? (?=float)", ir)[0].strip(),
    'CUDA, fastmath={"contract"}': on_cuda({"contract"}),
    "CUDA, fastmath=False": on_cuda(False),
    "CUDA, fastmath=True": on_cuda(True),
}
for what, instruction in seen.items():
    print(f"{what}: {instruction}")
assert list(seen.values()) == ["fdiv contract", "div.approx.f32", "div.rn.f32", "div.approx.f32"], "changed"
PYTHON
"$work/venv/bin/python" "$work/show.py"
