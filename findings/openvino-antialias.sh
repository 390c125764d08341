#!/usr/bin/env bash
# OpenVINO leaves out the antialiasing that an ONNX Resize asks for, and says nothing.
#
# Version: OpenVINO 2026.4.1, ONNX 1.23.2. Since opset 18, Resize has the attribute antialias, which
# torch.onnx writes for interpolate(..., antialias=True), as networks for faces shrink what they see.
# OpenVINO reads such a graph without a word and gives the values of antialias = 0. Seen here: a
# picture of which two columns in six are white, made six times smaller: white all over (1.0), where
# ONNX's reference gives about a third. What one would expect: the same, or an error, as for a
# coordinate mode that OpenVINO does not know.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
cd "$T"
"$T/venv/bin/python" - <<'P'
import io
import sys

import numpy as np
import openvino
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def graph(mode, antialias):
    small = numpy_helper.from_array(np.array([1, 1, 8, 8], np.int64), "size")
    node = helper.make_node("Resize", ["x", "", "", "size"], ["y"], mode=mode, antialias=antialias)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 1, 48, 48]), ("y", [1, 1, 8, 8]))
    ]
    made = helper.make_graph([node], "g", ends[:1], ends[1:], [small])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    return model


core = openvino.Core()
columns = np.isin(np.arange(48) % 6, (2, 3)).astype(np.float32)
stripes = np.tile(columns, (1, 1, 48, 1))
held = []
for mode in ("linear", "cubic"):
    model = graph(mode, 1)
    right = ReferenceEvaluator(model).run(None, {"x": stripes})[0][0, 0, 0]
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(io.BytesIO(model.SerializeToString())), "CPU", exact)
    found = compiled([stripes])[0][0, 0, 0]
    print(f"{mode}: reference {right.round(2)}, OpenVINO {found.round(2)}")
    held.append(right.max() < 0.5 and found.min() > 0.95)
sys.exit(not all(held))
P
