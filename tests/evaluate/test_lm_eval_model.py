"""Our model inside lm-evaluation-harness: its evaluation and its own backend give the figures that ours gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lm_eval_toy import TOY, WORDS

from bimedix2.errors import ConfigError
from bimedix2.evaluate.adapters.lm_eval_tasks import export_tasks
from bimedix2.evaluate.engines.local import LocalEngine
from bimedix2.evaluate.importing import find_importer, import_predictions
from bimedix2.evaluate.registry import find_family
from bimedix2.evaluate.runner import RunOptions
from bimedix2.evaluate.schema import Reply, Sample
from bimedix2.evaluate.scoring import score_replies
from tiny import tiny_bundle


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The harness, offline and with an empty cache."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return pytest.importorskip("lm_eval", reason="lm-eval is not installed: pip install 'bimedix2[harness]'")


def ours(assistant: Any, samples: list[Sample]) -> list[Reply]:
    return LocalEngine("tiny", "1", lambda: assistant).option_scores(samples, Path())


@pytest.mark.parametrize("kind", ["nano", "llava"])
def test_the_harness_computes_what_our_option_scoring_computes(harness: Any, tmp_path: Path, kind: str) -> None:
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    from bimedix2.evaluate.adapters.lm_eval_model import BiMediX2LM
    from bimedix2.inference.assistant import Assistant

    assistant = Assistant(tiny_bundle(kind))
    export_tasks([TOY], tmp_path, tmp_path / "first", RunOptions())
    folder = (tmp_path / "first").rename(tmp_path / "moved")
    tracker = EvaluationTracker(output_path=str(tmp_path / "log"))
    names = ["bimedix2_toy_en", "bimedix2_toy_ar"]
    found = simple_evaluate(
        BiMediX2LM(assistant=assistant), tasks=["bimedix2"], bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(folder), include_defaults=False), evaluation_tracker=tracker,
    )  # fmt: skip
    tracker.save_results_aggregated(results={**found, "samples": None}, samples=found["samples"])
    family = find_family("choice")
    for name in names:
        language: Any = name[-2:]
        samples = list(TOY.samples(tmp_path, language, "test", []))
        replies = ours(Assistant(tiny_bundle(kind)), samples)
        scored = score_replies(family, samples, replies, "lenient")
        for row, reply, item in zip(found["samples"][name], replies, scored, strict=True):
            pairs = row["filtered_resps"]
            assert [value for value, _ in pairs] == pytest.approx(list(reply.option_logprobs), abs=1e-4)
            assert (row["acc"], row["acc_norm"]) == (item.values["accuracy"], item.values["accuracy_norm"])
        for theirs, metric in (("acc,none", "accuracy"), ("acc_norm,none", "accuracy_norm")):
            mean = sum(item.values[metric] or 0 for item in scored) / len(scored)
            assert found["results"][name][theirs] == pytest.approx(mean)
        # Its own log, read back, is worth the same.
        tracker.save_results_samples(task_name=name, samples=found["samples"][name])
        (log,) = (tmp_path / "log").rglob(f"samples_{name}_*.jsonl")
        again, same = import_predictions(log, find_importer(log))
        assert [s.id for s in again] == [s.id for s in samples]
        assert [(s.language, s.reference, s.options, s.letters) for s in again] == [
            (s.language, s.reference, s.options, s.letters) for s in samples
        ]
        assert [item.values for item in score_replies(family, again, same, "lenient")] == [s.values for s in scored]
        assert [s.prompt for s in again] == [s.prompt for s in samples]


def test_option_scores_equal_those_of_the_harness_own_backend(harness: Any, tmp_path: Path) -> None:
    """Its Hugging Face class on our rendered prompts: another implementation of the same sums.

    It moves white space at a context's end into the continuation; that part, the same for all options, is taken off.
    """
    from lm_eval.models.huggingface import HFLM
    from transformers import LlamaForCausalLM

    from bimedix2.inference.assistant import Assistant

    bundle = tiny_bundle("llava")
    language_model = LlamaForCausalLM(bundle.model.config.text_config)
    language_model.model, language_model.lm_head = bundle.model.model.language_model, bundle.model.lm_head
    peer = HFLM(pretrained=language_model, tokenizer=bundle.tokenizer, device="cpu", batch_size=8, max_length=512)
    for language in ("en", "ar"):
        samples = list(TOY.samples(tmp_path, language, "test", []))  # type: ignore[arg-type]
        contexts = [bundle.tokenizer.decode(prompt_ids(bundle, sample.prompt)) for sample in samples]
        blank = [(context.rstrip(), context[len(context.rstrip()) :]) for context in contexts]
        assert {white for _, white in blank} == {"\n\n"}
        asked = [(c, letter) for c, s in zip(contexts, samples, strict=True) for letter in s.letters]
        found = iter(peer.loglikelihood(instances("loglikelihood", *blank, *asked), disable_tqdm=True))
        headers = [next(found)[0] for _ in blank]
        theirs = [[next(found)[0] - header for _ in s.letters] for s, header in zip(samples, headers, strict=True)]
        replies = ours(Assistant(bundle), samples)
        for mine, other in zip(replies, theirs, strict=True):
            assert list(mine.option_logprobs) == pytest.approx(other, abs=1e-3)


def instances(kind: str, *arguments: tuple[Any, ...]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [Instance(request_type=kind, doc={}, arguments=row, idx=i) for i, row in enumerate(arguments)]


def test_generated_text_is_that_of_a_single_question(harness: Any) -> None:
    from bimedix2.evaluate.adapters.lm_eval_model import BiMediX2LM
    from bimedix2.inference import GenerationConfig
    from bimedix2.inference.assistant import Assistant

    assistant = Assistant(tiny_bundle("nano"))
    model = BiMediX2LM(assistant=assistant, batch_size="auto")
    questions = ["What is shown?", "ماذا يظهر؟", "Is the lung clear?"]
    settings = {"until": ["\n\n"], "max_gen_toks": 6, "do_sample": False, "temperature": 0.0}
    texts = model.generate_until(instances("generate_until", *((question, settings) for question in questions)))
    config = GenerationConfig(max_new_tokens=6, stop=("\n\n",))
    assert texts == [assistant.ask(question, config=config).text for question in questions]
    # What comes before a stop string in the whole reply, whichever way the settings name it.
    stop = next(letter for letter in texts[0] if letter.strip())
    cut = texts[0].partition(stop)[0].strip()
    assert model.generate_until(instances("generate_until", (questions[0], settings | {"until": stop}))) == [cut]


def test_a_continuation_is_greedy_when_the_model_would_write_it(harness: Any) -> None:
    """Against the argmax of one whole forward pass; a longer text that begins so is not greedy."""
    from bimedix2.evaluate.adapters.lm_eval_model import BiMediX2LM
    from bimedix2.inference.assistant import Assistant
    from bimedix2.inference.options import option_tokens

    assistant = Assistant(tiny_bundle("nano"))
    model, tried = BiMediX2LM(assistant=assistant), 0
    for question in (f"{word} {number}?" for word in WORDS["en"] for number in range(20)):
        text = assistant.bundle.tokenizer.decode([likeliest(assistant, question)])
        if (
            not text.strip()
            or text != text.strip()
            or option_tokens(assistant.bundle, text) != [likeliest(assistant, question)]
        ):
            continue
        tried += 1
        requests = instances(
            "loglikelihood", (question, f" {text}"), (question, f"{text}{text}q"), (question, " chest")
        )
        assert [flag for _, flag in model.loglikelihood(requests)] == [True, False, False]
    assert tried >= 3


def likeliest(assistant: Any, question: str) -> int:
    """First token of the answer by one forward pass over the whole prompt."""
    import torch

    bundle = assistant.bundle
    ids = torch.tensor([prompt_ids(bundle, question)])
    with torch.inference_mode():
        hidden = bundle.model.model.language_model(input_ids=ids).last_hidden_state
        return int(bundle.model.lm_head(hidden)[0, -1].argmax())


def prompt_ids(bundle: Any, question: str) -> list[int]:
    from bimedix2.inference import user_turn
    from bimedix2.text.chat import encode_conversation

    return encode_conversation(
        [user_turn(question, 0, "auto")[0]], bundle.tokenizer, bundle.template, image_token_id=bundle.image_token_id,
        tokens_per_image=bundle.tokens_per_image, add_generation_prompt=True,
    ).input_ids  # fmt: skip


def test_what_the_model_does_not_offer_is_said_in_both_languages(harness: Any) -> None:
    from bimedix2.evaluate.adapters.lm_eval_model import BiMediX2LM
    from bimedix2.inference.assistant import Assistant

    model = BiMediX2LM(assistant=Assistant(tiny_bundle("nano")))
    for call, english, arabic in (
        (lambda: model.apply_chat_template([]), "Run without --apply_chat_template", "دون --apply_chat_template"),
        (lambda: model.loglikelihood_rolling([]), "Leave that task out", "احذف هذه المهمة"),
        (lambda: model.loglikelihood(instances("loglikelihood", ("?", " "))), "has no text", "فارغ"),
    ):
        with pytest.raises(ConfigError, match=english) as caught:
            call()
        assert arabic in caught.value.message_ar
