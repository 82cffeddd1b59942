"""Report metrics: upstream's own values, and Arabic, which its libraries score 0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bimedix2.evaluate.families.report import FAMILY
from bimedix2.evaluate.metrics import neural, wordnet
from bimedix2.evaluate.metrics.findings import finding_f1, findings
from bimedix2.evaluate.metrics.meteor import meteor, meteor_exact, wordnet_missing
from bimedix2.evaluate.metrics.overlap import bleu, chrf, rouge_l
from bimedix2.evaluate.metrics.radgraph import radcliq, radgraph_f1
from bimedix2.evaluate.schema import Reply, Sample

UPSTREAM = json.loads((Path(__file__).parent / "golden" / "upstream.json").read_text(encoding="utf-8"))
SENTENCES = json.loads((Path(__file__).parent / "golden" / "finding_sentences.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("pairs", [UPSTREAM["report_overlap"], UPSTREAM["report"]])
def test_bleu_and_rouge_equal_torchmetrics(pairs: list[dict[str, Any]]) -> None:
    for pair in pairs:
        texts = pair["prediction"], pair["reference"]
        for order in (1, 2, 4):
            if f"bleu{order}" in pair:
                assert bleu(*texts, order, "original") == pytest.approx(pair[f"bleu{order}"], abs=1e-6), pair
        assert rouge_l(*texts, "original") == pytest.approx(pair["rougeL"], abs=1e-6), pair


@pytest.mark.skipif(wordnet_missing(), reason="WordNet is not installed (Debian: wordnet-base)")
def test_meteor_equals_nltk_with_wordnet() -> None:
    for pair in UPSTREAM["report"]:
        assert meteor(pair["prediction"], pair["reference"]) == pytest.approx(pair["meteor"], abs=1e-6), pair


def test_arabic_reports_are_read() -> None:
    same = "الرئتان سليمتان ولا يوجد انصباب جنبي"
    assert rouge_l(same, same, "original") == 0.0
    assert rouge_l(same, same, "script_aware") == pytest.approx(1.0)
    assert bleu(same, same, 4, "script_aware") == pytest.approx(1.0)
    assert chrf(same, same) == pytest.approx(1.0)
    # 6 words in one chunk: 1 - 0.5 * (1 / 6) ** 3.
    assert meteor_exact(same, same) == pytest.approx(1 - 0.5 / 216)
    # Spelling of alef, marks and digits does not matter: 4 of 4 words, all in order.
    assert rouge_l("القلبُ ١٢ سم أكبر", "القلب 12 سم اكبر", "script_aware") == pytest.approx(1.0)
    # Half of the words, in order: P = R = 1/2.
    assert rouge_l("الرئة سليمة اليوم هنا", "الرئة سليمة امس هناك", "script_aware") == pytest.approx(0.5)
    assert 0 < chrf("انصباب جنبي أيمن", "انصباب جنبي أيسر") < 1


def test_radgraph_and_radcliq_equal_upstream() -> None:
    for case in UPSTREAM["radgraph_reward"]:
        found = radgraph_f1(case["hyp"]["entities"], case["ref"]["entities"])
        assert found == pytest.approx(case["multimedeval_f1"]), case["name"]
    case = next(case for case in UPSTREAM["radgraph_reward"] if case["name"] == "case differs")
    assert radgraph_f1(case["hyp"]["entities"], case["ref"]["entities"], fold_case=True) == 1.0
    for case in UPSTREAM["radcliq_v1"]:
        assert radcliq(*case["x"]) == pytest.approx(case["y"], abs=1e-6)


def test_an_empty_report_scores_0_and_is_counted_where_upstream_crashes() -> None:
    samples = [Sample(id=i, task="t", language="en", prompt="?", reference="No effusion.") for i in "ab"]
    replies = [Reply(id="a", text=" "), Reply(id="b", text="No effusion.")]
    for mode in FAMILY.modes:
        empty, whole = FAMILY.score(samples, replies, mode)
        assert not empty.parsed
        assert set(empty.values.values()) == {0.0}
        assert whole.parsed
        assert whole.values["rouge_l"] == 1.0


def test_missing_weights_are_said_and_never_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BIMEDIX2_BERTSCORE", "BIMEDIX2_CHEXBERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(neural, "_cached", lambda repository: None)
    monkeypatch.setattr(neural, "_radgraph", lambda: None)
    monkeypatch.setattr(wordnet, "DEBIAN", tmp_path)
    reasons = FAMILY.unavailable()
    assert {"bertscore", "chexbert", "radgraph_f1", "radcliq"} <= set(reasons)
    assert all(english and arabic for english, arabic in reasons.values())
    (row,) = FAMILY.score(
        [Sample(id="a", task="t", language="en", prompt="?", reference="x")], [Reply(id="a", text="x")], "corrected"
    )
    assert not {"bertscore", "chexbert", "radgraph_f1", "radcliq"} & set(row.values)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A BERT with random weights in the layout that real ones come in."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no", "effusion", "small", "left", "."]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="ascii")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 6, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), initializer_range=1.0, **sizes)).save_pretrained(tmp_path)
    BertTokenizerFast(vocab=str(tmp_path / "vocab.txt"), model_max_length=64).save_pretrained(tmp_path)
    return tmp_path


def test_encoders_are_loaded_from_a_folder_and_used(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIMEDIX2_BERTSCORE", str(encoder))
    monkeypatch.setenv("BIMEDIX2_CHEXBERT", str(encoder))
    monkeypatch.setattr(neural, "_radgraph", lambda: None)
    texts = ["no effusion .", "small left effusion .", ""]
    samples = [Sample(id=str(i), task="t", language="en", prompt="?", reference="no effusion .") for i in range(3)]
    same, other, empty = FAMILY.score(samples, [Reply(id=str(i), text=t) for i, t in enumerate(texts)], "corrected")
    for name in ("bertscore", "chexbert"):
        assert same.values[name] == pytest.approx(1.0, abs=1e-5)
        assert other.values[name] < 0.999  # type: ignore[operator]
        assert empty.values[name] == 0.0
    assert set(FAMILY.unavailable()) >= {"radgraph_f1", "radcliq"}
    assert "bertscore" not in FAMILY.unavailable()


def test_bertscore_equals_its_definition(encoder: Path) -> None:
    """Greedy cosine matching, idf over the hypotheses, special tokens without weight; worked out token by token."""
    import math

    import torch
    from transformers import AutoModel, AutoTokenizer

    given, wanted = ["no effusion", "small effusion"], ["left effusion .", "small effusion"]
    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder).eval()
    idf = {"no": math.log(3 / 2), "small": math.log(3 / 2), "effusion": math.log(3 / 3)}

    def vectors(text: str) -> tuple[list[str], torch.Tensor]:
        batch = tokenizer(text, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(**batch, output_hidden_states=True).hidden_states[3][0]
        return tokenizer.convert_ids_to_tokens(batch["input_ids"][0]), torch.nn.functional.normalize(hidden, dim=-1)

    for place, found in enumerate(neural.bertscore_f1(given, wanted, encoder, layer=3)):
        (a_tokens, a), (b_tokens, b) = vectors(given[place]), vectors(wanted[place])
        total = []
        for tokens, one, other in ((a_tokens, a, b), (b_tokens, b, a)):
            weights = [0.0 if t in ("[CLS]", "[SEP]") else idf.get(t, math.log(3)) for t in tokens]
            best = [max(float(vector @ candidate) for candidate in other) for vector in one]
            total.append(sum(w * v for w, v in zip(weights, best, strict=True)) / sum(weights))
        assert found == pytest.approx(2 * total[0] * total[1] / (total[0] + total[1]), abs=1e-5)


@pytest.mark.parametrize("language", ["en", "ar"])
def test_findings_agree_with_sentences_labelled_by_hand(language: str) -> None:
    rows = [row for row in SENTENCES["rows"] if row["language"] == language]
    given = [findings(row["text"]) for row in rows]
    wanted = [set(row["labels"]) or {"No Finding"} for row in rows]
    hits = sum(len(a & b) for a, b in zip(given, wanted, strict=True))
    f1 = 2 * hits / (sum(map(len, given)) + sum(map(len, wanted)))
    assert f1 >= SENTENCES["f1"][language] - 1e-9, [
        (row["text"], sorted(a)) for row, a, b in zip(rows, given, wanted, strict=True) if a != b
    ]


def test_finding_f1_by_hand() -> None:
    assert finding_f1("Cardiomegaly. No effusion.", "Heart is enlarged. Small effusion.") == pytest.approx(2 / 3)
    assert finding_f1("Lungs are clear.", "No acute disease.") == 1.0
    assert finding_f1("لا يوجد كسر. انصباب جنبي.", "Pleural effusion. No fracture.") == 1.0
