"""Processor files and a Jinja chat template, for servers that read Hugging Face folders (vLLM and others).

This package itself reads ``bimedix2.json`` and encodes chats without Jinja; what is written here says the
same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .encoder import CLASS_TOKEN

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from bimedix2.text.chat import ChatTemplate

    from .bundle import Manifest


def write_processor(folder: Path, manifest: Manifest, config: Any, backend: Tokenizer) -> None:
    """Write ``chat_template.jinja`` and, for unfolded image tokens, the processor's configuration.

    Args:
        folder: model folder.
        manifest: its manifest.
        config: its configuration.
        backend: its tokenizer.
    """
    from bimedix2.text.chat import get_template

    template = get_template(manifest.chat_template)
    image_token = str(backend.id_to_token(manifest.image_token_id))
    bos = next(name for name in template.bos if backend.token_to_id(name) is not None)
    (folder / "chat_template.jinja").write_text(jinja(template, bos, image_token), encoding="utf-8")
    # LlavaProcessor counts one token a patch, which is wrong where patches are folded.
    if manifest.pixel_shuffle == 1:
        _write(folder / "preprocessor_config.json", _image_settings(manifest))
        _write(folder / "processor_config.json", _processor_settings(config, image_token))


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def _image_settings(manifest: Manifest) -> dict[str, Any]:
    policy = manifest.image_policy
    padded = policy.fit == "pad"
    return {
        "image_processor_type": "LlavaImageProcessor" if padded else "CLIPImageProcessor",
        "processor_class": "LlavaProcessor",
        **({"do_pad": True} if padded else {}),
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": policy.size},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": policy.size, "width": policy.size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(policy.mean),
        "image_std": list(policy.std),
    }


def _processor_settings(config: Any, image_token: str) -> dict[str, Any]:
    return {
        "processor_class": "LlavaProcessor",
        "image_token": image_token,
        "patch_size": config.vision_config.patch_size,
        "vision_feature_select_strategy": config.vision_feature_select_strategy,
        # The class token: the tower yields it and the "default" strategy drops it again. SigLIP has none.
        "num_additional_image_tokens": int(CLASS_TOKEN.get(config.vision_config.model_type, True)),
    }


def jinja(template: ChatTemplate, bos: str, image_token: str) -> str:
    """The chat template in Jinja: one BOS, images before the text of their turn, content trimmed.

    Unlike this package's own encoder, Jinja works on one string, so a server that uses it must itself keep
    users from typing special tokens.
    """
    system_header = _literal("".join(template.system)) if template.system is not None else None
    user, assistant = _literal("".join(template.user)), _literal("".join(template.assistant))
    close = _literal(template.close + template.after_close)
    image = _literal(image_token + template.image_suffix)
    lines = [
        "{%- macro content_text(content) -%}",
        "{%- if content is string -%}{{- content | trim -}}{%- else -%}",
        "{%- set parts = namespace(text='') -%}",
        "{%- for part in content -%}{%- if part['type'] == 'text' -%}"
        "{%- set parts.text = parts.text + part['text'] -%}{%- endif -%}{%- endfor -%}",
        "{{- parts.text | trim -}}{%- endif -%}",
        "{%- endmacro -%}",
        "{%- if messages[0]['role'] == 'system' -%}",
        "{%- set system = content_text(messages[0]['content']) -%}{%- set turns = messages[1:] -%}",
        "{%- else -%}",
        f"{{%- set system = {_literal(template.default_system or '')} -%}}{{%- set turns = messages -%}}",
        "{%- endif -%}",
        f"{{{{- {_literal(bos)} -}}}}",
    ]
    if system_header is not None:
        lines.append(f"{{%- if system -%}}{{{{- {system_header} + system + {close} -}}}}{{%- endif -%}}")
        folded = ""
    else:
        joint = _literal(template.system_joint)
        folded = f"{{%- if system and loop.first -%}}{{{{- system + {joint} -}}}}{{%- endif -%}}"
    lines += [
        "{%- for turn in turns -%}",
        "{%- if turn['role'] == 'assistant' -%}",
        f"{{{{- {assistant} -}}}}",
        "{%- else -%}",
        f"{{{{- {user} -}}}}{folded}",
        "{%- if turn['content'] is not string -%}{%- for part in turn['content'] -%}",
        f"{{%- if part['type'] in ('image', 'image_url') -%}}{{{{- {image} -}}}}{{%- endif -%}}",
        "{%- endfor -%}{%- endif -%}",
        "{%- endif -%}",
        f"{{{{- content_text(turn['content']) + {close} -}}}}",
        "{%- endfor -%}",
        f"{{%- if add_generation_prompt -%}}{{{{- {assistant} -}}}}{{%- endif -%}}",
    ]
    return "".join(lines)


def _literal(text: str) -> str:
    """A Jinja string literal; Jinja reads the escapes that JSON writes."""
    return json.dumps(text, ensure_ascii=False)
