"""Kaimen's workshop: turns recordings into an encoder. Nothing of it runs at the gate."""

import os

# One thread a process: two processes are faster than two threads in every part of the work.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
