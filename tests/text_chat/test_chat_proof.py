"""Which tokenizers may be used segment by segment, and what happens with the others."""

from __future__ import annotations

import json

import pytest
from tokenizers import AddedToken, Tokenizer

from bimedix2.records.schema import Turn
from bimedix2.text.chat import Proof, encode_conversation, get_template, prove_segmentwise
from bimedix2.text.chat.corpus import proof_conversations


def test_llama3_splitting_is_exact_400_of_400(llama3_tokenizer: Tokenizer) -> None:
    proof = prove_segmentwise(llama3_tokenizer, get_template("llama3"))
    assert proof == Proof(exact=True, tested=400, counterexample=None)


def test_gpt2_splitting_is_exact_0_of_400(gpt2_tokenizer: Tokenizer) -> None:
    proof = prove_segmentwise(gpt2_tokenizer, get_template("llama3"))
    assert (proof.exact, proof.tested, proof.failures, proof.safe_path) == (False, 400, 400, True)
    assert proof.counterexample is not None
    assert proof.counterexample.startswith("<|begin_of_text|><|start_header_id|>")


def test_gemma_is_exact_where_its_turn_tokens_are_registered(clean_gemma_tokenizer: Tokenizer) -> None:
    assert prove_segmentwise(clean_gemma_tokenizer, get_template("gemma")).exact


def test_phi3_swallows_line_breaks_so_whole_strings_are_used(phi3_tokenizer: Tokenizer) -> None:
    template = get_template("phi3")
    proof = prove_segmentwise(phi3_tokenizer, template)
    assert not proof.exact
    assert proof.safe_path
    turns = [
        Turn(role="user", text="hi", language="en"),
        Turn(role="assistant", text="نعم", language="ar"),
    ]
    encoded = encode_conversation(turns, phi3_tokenizer, template, image_token_id=999, tokens_per_image=1)
    assert encoded.method == "whole"
    assert phi3_tokenizer.token_to_id("<0x0A>") not in encoded.input_ids
    end = phi3_tokenizer.token_to_id("<|end|>")
    assert [i for i in encoded.labels if i != -100][-1] == end


def test_without_parsed_turn_tokens_segments_win_and_it_is_said(gemma_tokenizer: Tokenizer) -> None:
    state = json.loads(gemma_tokenizer.to_str())
    state["model"]["merges"].remove(["<", "s"])
    tokenizer = Tokenizer.from_str(json.dumps(state))
    template = get_template("gemma")
    turns = [Turn(role="user", text="سؤال", language="ar")]
    ids = tokenizer.encode("<start_of_turn>", add_special_tokens=False).ids
    assert ids != [tokenizer.token_to_id("<start_of_turn>")]
    assert not prove_segmentwise(tokenizer, template).safe_path
    auto = encode_conversation(turns, tokenizer, template, image_token_id=5, tokens_per_image=1)
    asked = encode_conversation(turns, tokenizer, template, image_token_id=5, tokens_per_image=1, method="whole")
    assert auto.method == asked.method == "segments"
    assert auto.input_ids == asked.input_ids
    assert asked.notes


@pytest.mark.parametrize(
    ("fixture", "name"),
    [("llama3_tokenizer", "llama3"), ("clean_gemma_tokenizer", "gemma")],
)
def test_where_exact_both_ways_give_the_same_ids_labels_and_spans(
    fixture: str, name: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(fixture)
    for turns in proof_conversations(60, seed=1):
        one, other = (
            encode_conversation(
                turns, tokenizer, get_template(name), image_token_id=9999, tokens_per_image=2, method=method
            )
            for method in ("segments", "whole")
        )
        assert (one.input_ids, one.labels) == (other.input_ids, other.labels)
        assert one.spans == other.spans


def test_whole_string_labels_on_gpt2_are_those_of_the_characters(gpt2_tokenizer: Tokenizer) -> None:
    """Independent reference: mark each character of the string, then ask each token's offsets."""
    template = get_template("llama3")
    for turns in proof_conversations(40, seed=2):
        turns = tuple(Turn(role=t.role, text=t.text, language=t.language) for t in turns)
        encoded = encode_conversation(turns, gpt2_tokenizer, template, image_token_id=9999, tokens_per_image=1)
        text, wanted = "<|begin_of_text|>", [False] * len("<|begin_of_text|>")
        shown = list(turns)
        if turns[0].role != "system":
            system = template.default_system or ""
            shown.insert(0, Turn(role="system", text=system, language="en"))
        for turn in shown:
            header = f"<|start_header_id|>{turn.role}<|end_header_id|>\n\n"
            body = turn.text.strip() + "<|eot_id|>"
            text += header + body
            wanted += [False] * len(header) + [turn.role == "assistant"] * len(body)
        reference = gpt2_tokenizer.encode(text, add_special_tokens=False)
        assert encoded.input_ids == reference.ids
        labels = [
            index if wanted[end - 1] else -100 for index, (_, end) in zip(reference.ids, reference.offsets, strict=True)
        ]
        assert encoded.labels == labels


def test_proof_is_remembered_until_the_vocabulary_changes(llama3_tokenizer: Tokenizer) -> None:
    tokenizer, template = Tokenizer.from_str(llama3_tokenizer.to_str()), get_template("llama3")
    first = prove_segmentwise(tokenizer, template)
    assert prove_segmentwise(tokenizer, template) is first
    tokenizer.add_special_tokens([AddedToken("<|new|>")])
    assert prove_segmentwise(tokenizer, template) is not first


def test_own_samples_are_tested_and_a_counterexample_is_shown(gpt2_tokenizer: Tokenizer) -> None:
    sample = [Turn(role="user", text="نعم", language="ar"), Turn(role="assistant", text="ok", language="en")]
    proof = prove_segmentwise(gpt2_tokenizer, get_template("llama3"), [sample])
    assert proof.tested == 1
    assert proof.counterexample is not None
    assert "نعم<|eot_id|>" in proof.counterexample
