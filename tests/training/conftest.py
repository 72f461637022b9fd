"""TensorFlow is imported here once, where its packages may announce their deprecations."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

with warnings.catch_warnings(), contextlib.suppress(ImportError):
    warnings.simplefilter("ignore")
    import tensorflow as tf

    tf.keras.layers  # noqa: B018 - loaded when first asked for
    # fit() asks for one thread, too, and TensorFlow refuses another number once it has begun.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
