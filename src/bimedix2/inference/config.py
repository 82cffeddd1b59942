"""How an answer is generated."""

from __future__ import annotations

from dataclasses import dataclass

from bimedix2.errors import ConfigError


@dataclass(frozen=True)
class GenerationConfig:
    """Settings of one answer.

    Attributes:
        max_new_tokens: longest answer in tokens.
        temperature: 0 takes the most likely token (greedy); otherwise scores are divided by it and sampled.
        top_p: keeps the smallest set of tokens whose probability reaches it (Holtzman et al. 2020).
        repetition_penalty: > 1 makes tokens of the answer so far less likely (Keskar et al. 2019).
        stop: the answer ends before any of these strings.
        seed: seeds sampling.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("max_new_tokens", self.max_new_tokens, 1, 32_768),
            ("temperature", self.temperature, 0.0, 2.0),
            ("top_p", self.top_p, 1e-6, 1.0),
            ("repetition_penalty", self.repetition_penalty, 0.5, 2.0),
        ):
            if not low <= value <= high:
                raise ConfigError(
                    f"{name} is {value}; it must be between {low} and {high}.",
                    f"قيمة {name} هي {value}، ويجب أن تكون بين {low} و {high}.",
                )
        if any(not text for text in self.stop):
            raise ConfigError("A stop string is empty; remove it.", "إحدى سلاسل التوقف فارغة؛ احذفها.")
