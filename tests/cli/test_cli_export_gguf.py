"""``export --format gguf`` from the command line."""

from __future__ import annotations

from pathlib import Path

from gguf import GGUFReader


def test_export_gguf(invoke, model_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    result = invoke("export", str(model_folder), str(target), "--format", "gguf", "--dtype", "f32")
    assert result.exit_code == 0, result.output
    assert {path.name for path in target.iterdir()} == {"text.gguf", "mmproj.gguf", "bimedix2.json"}
    assert GGUFReader(target / "text.gguf").fields["general.architecture"].contents() == "llama"
    again = invoke("export", str(model_folder), str(target), "--format", "gguf")
    assert again.exit_code != 0
