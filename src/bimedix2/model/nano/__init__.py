"""The nano size: a real bilingual vision-language model from published Python packages alone."""

from .assemble import nano_adapter, nano_folder, nano_path

__all__ = ["nano_adapter", "nano_folder", "nano_path"]
