"""Print the millions of multiply-adds in the convolutions and matrix products of encoders.

.venv/bin/python deploy/instructions/multiply_adds.py ENCODER.tflite...
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from tensorflow.lite.python import schema_py_generated as schema

DENSE = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED)


def multiply_adds(content: bytes) -> int:
    """Return those of one pass: each output is a sum over a filter (out, ...) but its first axis.

    Networks with depthwise convolutions have other filters: none ships.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    graph = model.subgraphs[0]
    total = 0
    for operator in graph.operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode in DENSE:
            kernel = graph.tensors[operator.inputs[1]].shape
            total += math.prod(graph.tensors[operator.outputs[0]].shape) * math.prod(kernel[1:])
    return total


if __name__ == "__main__":
    for path in sys.argv[1:]:
        print(f"{path}: {multiply_adds(Path(path).read_bytes()) / 1e6:.0f}")
