"""Seeded synthetic answers and reports to time scorers on; they mean nothing, but have the shape of real ones."""

from __future__ import annotations

import random
from itertools import product

Pairs = list[tuple[str, str]]
"""(prediction, reference) of each sample."""

_CLOSED_SHARE = 0.45
_LONGEST_PREDICTION = 25
_TERMS = (
    "the a an is of in on with and no not there are left right upper lower lobe lung heart liver kidney spleen brain "
    "frontal temporal parietal occipital axial coronal sagittal chest abdomen pelvis skull spine image scan x-ray CT "
    "MRI ultrasound contrast T1 T2 mass lesion nodule nodules opacity effusion pneumothorax consolidation edema "
    "fracture hemorrhage infarct calcification cyst abscess normal enlarged small large mild moderate severe bilateral "
    "diffuse focal acute chronic one two three 12 3.5 mm cm yes it's doesn't can't well-defined ring-enhancing air "
    "fluid soft tissue bone vessel artery vein aorta trachea bronchus colon bowel gallbladder stomach ventricle gyrus "
    "white gray matter hypodense hyperdense hyperintense enhancement density signal patient male female old shows"
)
_WORDS = _TERMS.split()
_MARKS = (".", ",", ";", "?", "!", ":")
_PLACES = (
    "left upper lobe", "right lower lobe", "lingula", "right middle lobe", "left costophrenic angle", "right apex",
    "both lung bases", "left hilum", "mediastinum", "right hemithorax", "retrocardiac region", "perihilar regions",
)  # fmt: skip
_FINDINGS = (
    "airspace opacity", "consolidation", "atelectasis", "interstitial edema", "a pleural effusion", "a pneumothorax",
    "a calcified granuloma", "a pulmonary nodule", "scarring", "vascular congestion", "a cavitary lesion", "infiltrate",
    "bronchial wall thickening", "a hiatal hernia", "emphysematous change", "pleural thickening", "a lucency",
)  # fmt: skip
_DEGREES = ("mild", "moderate", "severe", "small", "large", "stable", "new", "worsening", "improving", "minimal")
_TEMPLATES = (
    "There is {degree} {finding} in the {place}.",
    "No {finding} or {other} is seen.",
    "The {place} is clear, without evidence of {finding}.",
    "{degree} {finding} is again noted at the {place}, unchanged from the prior examination of {number} months ago.",
    "The cardiomediastinal silhouette is {state}.",
    "Heart size is {state} and the pulmonary vasculature is {state2}.",
    "An endotracheal tube ends {number}.{number2} cm above the carina.",
    "Degenerative changes of the thoracic spine are {degree}.",
    "The patient's nasogastric tube courses below the diaphragm (tip not visualized).",
    "Findings may represent {finding}; {other} cannot be excluded.",
    "Comparison is made to the study of {number}/{number2}/2019.",
    "Osseous structures are {state}, and no displaced rib fractures are identified.",
    "Impression: {degree} {finding}, {place}.",
    "Dr. Smith was informed of the {finding} at {number}:3{number2} p.m. by telephone.",
)
_STATES = ("normal", "enlarged", "unremarkable", "within normal limits", "mildly prominent", "intact", "tortuous")


def answers(count: int, seed: int) -> Pairs:
    """Short answers of 1 to 25 words; 45 % of the references are yes or no."""
    draw = random.Random(seed)
    return [_closed(draw) if draw.random() < _CLOSED_SHARE else _open(draw) for _ in range(count)]


def _closed(draw: random.Random) -> tuple[str, str]:
    reference = draw.choice(("yes", "no", "Yes", "No"))
    if draw.random() < 0.5:
        return draw.choice(("Yes", "No", "yes.", "no", "No.")), reference
    opening = draw.choice(("Yes, ", "No, ", "", "", "There is no "))
    return opening + _phrase(draw, draw.randint(1, _LONGEST_PREDICTION - 3)), reference


def _open(draw: random.Random) -> tuple[str, str]:
    reference = _phrase(draw, draw.randint(1, 6))
    own = [word for word in reference.split() if draw.random() < 0.5]
    more = _phrase(draw, draw.randint(1, _LONGEST_PREDICTION - len(own))).split()
    return " ".join(draw.sample(own + more, len(own + more))), reference


def _phrase(draw: random.Random, length: int) -> str:
    words = [word + draw.choice(_MARKS) if draw.random() < 0.1 else word for word in draw.choices(_WORDS, k=length)]
    return " ".join(word.capitalize() if draw.random() < 0.1 else word for word in words)


def reports(count: int, seed: int) -> Pairs:
    """Reports of 3 to 8 sentences; a prediction keeps, changes, leaves out or adds sentences of its reference."""
    draw = random.Random(seed)
    return [_report(draw) for _ in range(count)]


def _report(draw: random.Random) -> tuple[str, str]:
    reference = [_sentence(draw) for _ in range(draw.randint(3, 8))]
    kept = [sentence if draw.random() < 0.5 else _sentence(draw) for sentence in reference]
    prediction = [sentence for sentence in kept if draw.random() < 0.9][:8]
    while len(prediction) < 3:
        prediction.append(_sentence(draw))
    return " ".join(prediction), " ".join(reference)


def _sentence(draw: random.Random) -> str:
    text = draw.choice(_TEMPLATES).format(
        degree=draw.choice(_DEGREES),
        finding=draw.choice(_FINDINGS),
        other=draw.choice(_FINDINGS),
        place=draw.choice(_PLACES),
        state=draw.choice(_STATES),
        state2=draw.choice(_STATES),
        number=draw.randint(1, 9),
        number2=draw.randint(0, 9),
    )
    return text[0].upper() + text[1:]


def distinct_words(pairs: Pairs) -> int:
    """Number of different words, for judging what a cache of words is worth."""
    return len({word for pair, side in product(pairs, (0, 1)) for word in pair[side].lower().split()})
