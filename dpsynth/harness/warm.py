"""Imported once by the fork server, before numerical libraries: one thread a process.

Cells are forked from there, so that none of them pays for imports. Parallelism is a process a cell;
more threads than that would fight over the cores, and would make sums depend on their number.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ[_name] = "1"
