"""Segments to token ids, one by one or as whole strings whose tokens find their segment by offsets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from bimedix2.text.chat.codec import Codec
from bimedix2.text.chat.guard import Token, Unsafe, encode_guarded
from bimedix2.text.chat.segments import Segment
from bimedix2.text.chat.template import ChatTemplate


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens that belong to one segment, with the text they cover."""

    segment: Segment
    ids: list[int]
    supervised: bool
    text: str


def segment_pieces(segments: Sequence[Segment], codec: Codec, template: ChatTemplate, unsafe: Unsafe) -> list[Piece]:
    """Each segment tokenised by itself."""
    return [Piece(s, _segment_ids(s, codec, template, unsafe), s.supervised, s.text) for s in segments]


def _segment_ids(segment: Segment, codec: Codec, template: ChatTemplate, unsafe: Unsafe) -> list[int]:
    if segment.kind == "image":
        return []
    if segment.token:
        return [codec.token_id(segment.text, template)]
    if segment.kind != "content":
        return codec.encode_trusted(segment.text)
    return [token.id for token in encode_guarded(segment.text, [(0, len(segment.text))], codec, unsafe)]


def whole_pieces(
    segments: Sequence[Segment], codec: Codec, template: ChatTemplate, unsafe: Unsafe, *, prompt: bool
) -> list[Piece] | None:
    """Runs of text between images tokenised as whole strings; ``None`` if a template token is not parsed.

    Args:
        segments: the conversation.
        codec: its tokenizer.
        template: its template.
        unsafe: tells which tokens content must not become.
        prompt: the last run ends with an assistant header that an answer will follow.
    """
    pieces: list[Piece] = []
    runs = list(text_runs(segments))
    for number, run in enumerate(runs):
        if run[0].kind == "image":
            pieces.append(Piece(run[0], [], supervised=False, text=""))
            continue
        # A header's last line break may be tokenised differently before text than at the end of a string.
        anchor = "a" if prompt and number == len(runs) - 1 else ""
        found = _run_pieces(run, codec, template, unsafe, anchor)
        if found is None:
            return None
        pieces += found
    return pieces


def text_runs(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Segments grouped into runs of text; an image is a run of its own."""
    run: list[Segment] = []
    for segment in segments:
        if segment.kind != "image":
            run.append(segment)
            continue
        if run:
            yield run
        yield [segment]
        run = []
    if run:
        yield run


def _run_pieces(
    run: list[Segment], codec: Codec, template: ChatTemplate, unsafe: Unsafe, anchor: str
) -> list[Piece] | None:
    text = "".join(segment.text for segment in run)
    places = _places(run)
    content = [place for segment, place in zip(run, places, strict=True) if segment.kind == "content"]
    with codec.parsing_specials():
        tokens = encode_guarded(text + anchor, content, codec, unsafe)
    if anchor and any(token.start < len(text) < token.end for token in tokens):
        with codec.parsing_specials():
            tokens = encode_guarded(text, content, codec, unsafe)
    tokens = [token for token in tokens if token.start < len(text)]
    owners = _owners(tokens, run, places, codec, template)
    if owners is None:
        return None
    return _merge(tokens, owners, run, text)


def _places(run: Sequence[Segment]) -> list[tuple[int, int]]:
    places, position = [], 0
    for segment in run:
        places.append((position, position + len(segment.text)))
        position += len(segment.text)
    return places


def _owners(
    tokens: list[Token],
    run: list[Segment],
    places: list[tuple[int, int]],
    codec: Codec,
    template: ChatTemplate,
) -> list[tuple[int, bool]] | None:
    """For each token its segment's index and whether it is supervised.

    A template token is its own segment's even if it swallowed white space around it. Any other token belongs
    where it begins, and is supervised only if all of it is.
    """
    owners: list[tuple[int, bool]] = []
    at, named = 0, 0
    for token in tokens:
        while at < len(run) - 1 and places[at][1] <= token.start:
            at += 1
        reach = _reach(at, token, places)
        special = [i for i in reach if run[i].token and codec.token_id(run[i].text, template) == token.id]
        named += len(special)
        owner = special[0] if special else at
        owners.append((owner, run[owner].supervised if special else all(run[i].supervised for i in reach)))
    return owners if named == sum(segment.token for segment in run) else None


def _reach(first: int, token: Token, places: list[tuple[int, int]]) -> list[int]:
    last = first
    while last + 1 < len(places) and places[last + 1][0] < token.end:
        last += 1
    return list(range(first, last + 1))


def _merge(tokens: list[Token], owners: list[tuple[int, bool]], run: list[Segment], text: str) -> list[Piece]:
    pieces: list[Piece] = []
    begin, done = 0, 0
    for (owner, supervised), group in groupby(owners):
        count = sum(1 for _ in group)
        done += count
        end = tokens[done].start if done < len(tokens) else len(text)
        ids = [token.id for token in tokens[done - count : done]]
        pieces.append(Piece(run[owner], ids, supervised, text[begin:end]))
        begin = end
    return pieces
