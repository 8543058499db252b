"""The reader of each format of scene text."""

from __future__ import annotations

from finetune.data.findings import Findings
from finetune.data.text.characters import characters_in
from finetune.data.text.curved import read_ctw1500, read_totaltext
from finetune.data.text.icdar import read_icdar
from finetune.data.text.pairs import TextPair, pair_files
from finetune.data.text.raw import RawText
from finetune.data.text.sources import TextSource, files_of, look_into
from finetune.data.text.synthtext import read_synthtext

_READERS = {"icdar": read_icdar, "totaltext": read_totaltext, "ctw1500": read_ctw1500}


def read_text_source(source: TextSource, findings: Findings, *, need_images: bool = True) -> RawText:
    """Read the words of one source; what cannot be read is told to ``findings``."""
    if source.format == "synthtext":
        return read_synthtext(source, findings, need_images=need_images)
    return _READERS[source.format](pairs_of(source, findings, need_images), findings)


def pairs_of(source: TextSource, findings: Findings, need_images: bool = True) -> list[TextPair]:
    """Annotation files of a source and their pictures."""
    folder = look_into(source.place, source.place)
    characters = {stem: file for place in source.char_dirs for stem, file in characters_in(place).items()}
    files = [source.place / name for name in source.names or files_of(folder, source.format)]
    return pair_files(files, source.image_dirs, findings, characters=characters, need_images=need_images, all_annotated=not source.names)
