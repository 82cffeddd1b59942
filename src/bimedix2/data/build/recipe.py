"""What a data set is made of: frozen dataclasses that a recipe file fills in. A step that is not named is not taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .recipe_models import RewriteRecipe, TranslateRecipe

Split = Literal["train", "dev", "test"]


@dataclass(frozen=True)
class SourceRecipe:
    """A public set; see ``bimedix2 data sources``.

    Attributes:
        source: its name.
        splits: taken.
        options: of the source.
        encoding: of its text files.
        keep_missing_images: take records whose images are not there.
        paired: take only records that share a ``pair_id`` with another language.
    """

    source: str
    splits: tuple[Split, ...] = ("train",)
    options: dict[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"
    keep_missing_images: bool = False
    paired: bool = False


@dataclass(frozen=True)
class IngestRecipe:
    """Where records come from.

    Attributes:
        sources: public sets, in this order.
        records: files of records (``.jsonl``, ``.parquet``, LLaVA's), from the recipe's folder.
        hash_images: put the SHA-256 of each image into its records.
    """

    sources: tuple[SourceRecipe, ...] = ()
    records: tuple[str, ...] = ()
    hash_images: bool = False


@dataclass(frozen=True)
class CheckRecipe:
    """Checks of translations against their originals.

    Attributes:
        action: ``set_aside`` translations that fail, or ``report`` them and keep all.
        glossary: terms, from the recipe's folder.
        positions: also compare upper and lower and the like.
        encoder: use the sentence encoder of the ``check`` extra.
    """

    action: Literal["set_aside", "report"] = "set_aside"
    glossary: str = ""
    positions: bool = False
    encoder: bool = True


@dataclass(frozen=True)
class ReviewRecipe:
    """What people must have read before the line goes on.

    Attributes:
        plan: sampling plan (YAML) of ``bimedix2 data review start``, from the recipe's folder; its defaults if empty.
        at_least: translations with a final verdict.
        lots_must_pass: every stratum must have passed its plan.
        unread: ``keep`` records of lots that are still open, or ``set_aside``.
        reviewers: ``scripted`` if no person reads: then verdicts are counted, but change and remove nothing.
    """

    plan: str = ""
    at_least: int = 0
    lots_must_pass: bool = True
    unread: Literal["keep", "set_aside"] = "set_aside"
    reviewers: Literal["experts", "scripted"] = "experts"


@dataclass(frozen=True)
class PhiRecipe:
    """Screen for what identifies a person.

    Attributes:
        action: ``redact`` puts labels in its place, ``set_aside`` the records, ``report`` only lists.
        images: also look for writing in the pictures; they are listed, whatever the action.
    """

    action: Literal["redact", "set_aside", "report"] = "redact"
    images: bool = False


@dataclass(frozen=True)
class DedupRecipe:
    """Near duplicates.

    Attributes:
        action: ``drop`` all but the first, or ``report`` them and keep all.
        similarity: least share of two texts in common; 1 takes only equal ones.
        images: ``near`` opens them, ``path`` compares their paths.
    """

    action: Literal["drop", "report"] = "drop"
    similarity: float = 0.85
    images: Literal["near", "path"] = "near"


@dataclass(frozen=True)
class HeldOutRecipe:
    """Evaluated splits of a public set.

    Attributes:
        source: its name.
        splits: that are evaluated.
        options: of the source.
    """

    source: str
    splits: tuple[Split, ...] = ("dev", "test")
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DecontaminateRecipe:
    """What is evaluated must not be trained on.

    Attributes:
        action: ``drop`` test items, or ``refuse`` to go on if there are any.
        shipped: compare with the hashes of public test sets in the package.
        held_out: sets to compare with, texts and images.
        same_question: sets that share images with training on purpose: here only the same question about the same
            image file counts.
        hashes: files of test-set hashes, from the recipe's folder.
        images: open the images.
        similarity, coverage, image_bits: thresholds; see ``bimedix2 data decontaminate --help``.
    """

    action: Literal["drop", "refuse"] = "drop"
    shipped: bool = True
    held_out: tuple[HeldOutRecipe, ...] = ()
    same_question: tuple[HeldOutRecipe, ...] = ()
    hashes: tuple[str, ...] = ()
    images: bool = True
    similarity: float = 0.6
    coverage: float = 0.5
    image_bits: int = 8


@dataclass(frozen=True)
class MixRecipe:
    """How much of each cell; see ``bimedix2 data mix --help``.

    Attributes:
        targets: pattern of cells ``language/modality/task`` -> share, or amount in ``unit``.
        unit: what is counted.
        total: size of the mix in ``unit``; 0 takes the most that the targets allow.
        seed: chooses the records.
        upsample_limit: most uses of one record.
        pairs_together: translations of one sample are taken or left together.
        splits: taken.
        shared_images: allow one image in train and dev.
        tokens: what counts tokens.
    """

    targets: dict[str, float] = field(default_factory=dict)
    unit: Literal["samples", "tokens"] = "samples"
    total: int = 0
    seed: int = 0
    upsample_limit: int = 1
    pairs_together: bool = False
    splits: tuple[Split, ...] = ("train",)
    shared_images: bool = False
    tokens: str = "words"


@dataclass(frozen=True)
class ShardRecipe:
    """Parquet records and image shards.

    Attributes:
        records_per_shard: records of a Parquet file.
        shard_mb: size from which the next image shard begins, in 10^6 bytes.
        skip_missing: leave out records whose images are missing.
        phi: images that the privacy scan marks: ``refuse``; ``skip`` their records; ``allow`` does not look.
    """

    records_per_shard: int = 10_000
    shard_mb: int = 256
    skip_missing: bool = False
    phi: Literal["refuse", "skip", "allow"] = "refuse"


@dataclass(frozen=True)
class CardRecipe:
    """What people must say in the data card, for no file says it.

    Attributes:
        description, description_ar: what the set is.
        limits, limits_ar: known limits beyond those that the steps tell.
        plots: draw pictures of the counts.
    """

    description: str = ""
    description_ar: str = ""
    limits: tuple[str, ...] = ()
    limits_ar: tuple[str, ...] = ()
    plots: bool = True


@dataclass(frozen=True)
class BuildRecipe:
    """A data set, step by step.

    Attributes:
        name, name_ar: of the set.
        ingest … card: the steps in their order.
    """

    name: str
    ingest: IngestRecipe
    name_ar: str = ""
    rewrite: RewriteRecipe | None = None
    translate: TranslateRecipe | None = None
    check: CheckRecipe | None = None
    review: ReviewRecipe | None = None
    phi: PhiRecipe | None = None
    dedup: DedupRecipe | None = None
    decontaminate: DecontaminateRecipe | None = None
    mix: MixRecipe | None = None
    shard: ShardRecipe | None = None
    card: CardRecipe | None = None
