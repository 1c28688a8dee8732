"""The command line: one file a verb. typer and rich, because people know their look and habits."""

import os

# Before numpy is loaded, here and in the processes that fit surrogates: several studies share the
# processors, and their matrices are small. Whoever sets it otherwise has his way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
