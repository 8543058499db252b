"""Reader of ICDAR ground truth: one text file per picture, one word per line (2013: rectangles; 2015, 2017-MLT and 2019-MLT: quads)."""

from __future__ import annotations

from collections.abc import Sequence

from backbones.errors import DataError
from finetune.data.file_listing import decode_text, fault_and_remedy, odd_start, read_bytes
from finetune.data.findings import Findings
from finetune.data.kinds import ANNOTATIONS_UNREADABLE, TEXT_NOT_UTF8, WORD_UNREADABLE
from finetune.data.raw import RawImage
from finetune.data.text.characters import add_characters
from finetune.data.text.icdar_lines import LineStyle, parse_line, style_of
from finetune.data.text.pairs import TextPair
from finetune.data.text.raw import RawText, RawWord, words_of

_SHOWN = 60  # letters of a line in a message


def read_icdar(pairs: Sequence[TextPair], findings: Findings) -> RawText:
    """Read the words of pictures.

    Args:
        pairs: Annotation files of one folder, which are written in one way, and their pictures.
        findings: Gets lines that cannot be read, which are left out, and files that cannot be read, which are faults.
    """
    texts = {pair.file: text for pair in pairs if (text := read_text(pair, findings)) is not None}
    style = style_of(line for text in texts.values() for line in lines_of(text)) or LineStyle()
    raw = RawText()
    for pair in pairs:
        if pair.file not in texts:
            continue
        words = words_of(_words(pair, texts[pair.file], style, findings))
        raw.images.append(RawImage(pair.image_id, pair.picture, (0, 0), pair.file))
        raw.words.append(add_characters(words, pair, findings))
    findings.raise_faults()
    return raw


def read_text(pair: TextPair, findings: Findings) -> str | None:
    """The text of an annotation file; an empty file is a picture without words, one that holds something else a fault."""
    try:
        content = read_bytes(pair.file)
    except DataError as error:
        fault, remedy = fault_and_remedy(error, pair.file)
        findings.fault(ANNOTATIONS_UNREADABLE, pair.file, value=fault, remedy=remedy, image=pair.picture)
        return None
    odd = odd_start(content) if content.strip(b" \t\r\n\xef\xbb\xbf") else None
    if odd is not None:
        fault, _, remedy = odd.partition("; ")
        findings.fault(ANNOTATIONS_UNREADABLE, pair.file, value=f"it is {fault}", remedy=remedy, image=pair.picture)
        return None
    text = decode_text(content)
    if "\ufffd" in text and b"\xef\xbf\xbd" not in content:
        findings.add(TEXT_NOT_UTF8, pair.file, image=pair.picture)
    return text


def lines_of(text: str) -> list[str]:
    """Lines as editors of all systems end them; nothing else ends a line, because a transcription may hold it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _words(pair: TextPair, text: str, style: LineStyle, findings: Findings) -> list[RawWord]:
    rows = []
    for number, line in enumerate(lines_of(text), start=1):
        if not line.strip(" \t\ufeff\0\x1a"):
            continue
        place = f"{pair.file.name}#{number}"
        word = parse_line(line.lstrip("\ufeff"), style)
        if isinstance(word, str):
            shown = line if len(line) <= _SHOWN else line[:_SHOWN] + "..."
            findings.add(WORD_UNREADABLE, pair.file, place, f"({word}: {shown!r})", remedy=f"write it as the other lines of the folder: {style.words}", image=pair.picture)
        else:
            rows.append(RawWord(word.quad, word.text, word.ignore, place))
    return rows


