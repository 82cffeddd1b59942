"""Our models inside lm-evaluation-harness (the extra ``harness``).

``bimedix2 harness lm-eval-run --model_args model=nano --tasks …`` is its own command with the model ``bimedix2`` added.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from bimedix2.errors import ConfigError

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

    from bimedix2.inference.assistant import Assistant
    from bimedix2.records.schema import Turn

_DEFAULT_NEW_TOKENS, _DEFAULT_BATCH = 256, 8


@register_model("bimedix2")
class BiMediX2LM(LM):  # type: ignore[misc]
    """Answers through our own prompt code: a context is the user's turn, a continuation the answer to it.

    The chat template is applied here, so the harness must not apply one (no ``--apply_chat_template``), and white
    space around a continuation is dropped: an answer begins right after the template's header.

    Args:
        model: nano, a model folder or a hub id.
        adapter: folder of a PEFT adapter.
        device: as in :func:`bimedix2.model.load_bundle`; the CPU where it names CUDA and there is none.
        batch_size: prompts generated at once.
        assistant: a loaded model, in place of the above.
        others: what the harness passes to every model (``max_batch_size`` and the like); not used.
    """

    def __init__(
        self,
        model: str = "nano",
        adapter: str | None = None,
        device: str | None = None,
        batch_size: int | str | None = _DEFAULT_BATCH,
        assistant: Assistant | None = None,
        **others: Any,
    ) -> None:
        super().__init__()
        # The harness also says "auto" or "auto:4".
        self.batch = int(text) if (text := str(batch_size)).isdigit() and int(text) else _DEFAULT_BATCH
        self.assistant = assistant or _load(model, adapter, device)

    def loglikelihood(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Log-probability (nats) of each continuation, and whether greedy decoding would write it.

        Neighbouring requests with one context, as multiple choice sends them, read that context once.
        """
        found: list[tuple[float, bool]] = []
        for context, group in itertools.groupby(requests, key=lambda request: str(request.args[0])):
            same = list(group)
            answers = [_answer(str(request.args[1])) for request in same]
            results = self._scored(context, answers)
            for request, result in zip(same, results, strict=True):
                self.cache_hook.add_partial("loglikelihood", request.args, result)
            found += results
        return found

    def _scored(self, context: str, answers: Sequence[str]) -> list[tuple[float, bool]]:
        from bimedix2.inference.options import greedy_tokens, option_logprobs, option_tokens

        turn = _turn(context)
        scores = option_logprobs(self.assistant, [turn], [], answers)
        tokens = [option_tokens(self.assistant.bundle, answer) for answer in answers]
        likeliest = greedy_tokens(self.assistant, [turn], [], max(len(row) for row in tokens))
        return [(score, likeliest[: len(row)] == row) for score, row in zip(scores, tokens, strict=True)]

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """Replies, up to a stop string or the token limit; neighbours with equal settings share a batch."""
        found: list[str] = []
        for _, group in itertools.groupby(requests, key=lambda request: repr(request.args[1])):
            same = list(group)
            for start in range(0, len(same), self.batch):
                part = same[start : start + self.batch]
                texts = self._generated([str(request.args[0]) for request in part], part[0].args[1])
                for request, text in zip(part, texts, strict=True):
                    self.cache_hook.add_partial("generate_until", request.args, text)
                found += texts
        return found

    def _generated(self, contexts: Sequence[str], settings: dict[str, Any]) -> list[str]:
        from bimedix2.inference import GenerationConfig, Question

        until = settings.get("until") or ()
        stops = [until] if isinstance(until, str) else until
        sampled = bool(settings.get("do_sample", float(settings.get("temperature", 0)) > 0))
        limit = settings.get("max_gen_toks", settings.get("max_new_tokens", _DEFAULT_NEW_TOKENS))
        config = GenerationConfig(
            max_new_tokens=int(limit),
            temperature=float(settings.get("temperature", 1.0)) if sampled else 0.0,
            top_p=float(settings.get("top_p", 1.0)),
            stop=tuple(stop for stop in stops if stop),
        )
        answers = self.assistant.ask_batch([Question(context) for context in contexts], config)
        return [answer.text for answer in answers]

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[float]:
        """Not offered.

        Raises:
            ConfigError: always; text without a question is nothing that a chat model is asked.
        """
        raise ConfigError(
            "Perplexity of running text (loglikelihood_rolling) is not offered for a chat model. Leave that task out.",
            "لا يحسب الالتباس للنص المتصل (loglikelihood_rolling) لنموذج محادثة. احذف هذه المهمة.",
        )

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Not offered.

        Raises:
            ConfigError: always; the template would be applied twice.
        """
        raise ConfigError(
            "The model applies its chat template itself. Run without --apply_chat_template.",
            "يطبق النموذج قالب المحادثة بنفسه. شغل الأمر دون --apply_chat_template.",
        )

    @property
    def tokenizer_name(self) -> str:
        """Name for the harness's caches."""
        return str(self.assistant.bundle.name)


def _load(model: str, adapter: str | None, device: str | None) -> Assistant:
    import torch

    from bimedix2.inference.assistant import Assistant
    from bimedix2.model import load_bundle

    # The harness's default is cuda:0, whether there is such a device or not.
    absent = not device or (device.startswith("cuda") and not torch.cuda.is_available())
    return Assistant(load_bundle(model, adapter=adapter, device="auto" if absent else str(device)))


def _turn(context: str) -> Turn:
    from bimedix2.inference import user_turn

    return user_turn(context, 0, "auto")[0]


def _answer(continuation: str) -> str:
    answer = continuation.strip()
    if not answer:
        raise ConfigError(
            f"The continuation {continuation!r} has no text; the task's choices must not be empty.",
            f"النص المكمل {continuation!r} فارغ؛ يجب ألا تكون خيارات المهمة فارغة.",
        )
    return answer


def main() -> None:
    """lm-evaluation-harness's command line, with our models."""
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
