"""Draw docs/images/signs.jpg or words.jpg: a few pictures of a sample set side by side, some with their truth drawn in.

python tools/contact_sheet.py signs --out docs/images/signs.jpg
python tools/contact_sheet.py words --out docs/images/words.jpg --pick 0 5 4 12 8 14 --columns 3 --width 400 --kilobytes 190
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image, ImageDraw

from finetune.samples.scene import draw_picture
from finetune.samples.text.word_pictures import WordPicture, WordPictures
from finetune.samples.truth import Picture

PICKED = (8, 18, 17, 14, 36, 12, 0, 28, 32, 30, 15, 21)
GAP = 4


def draw_truth(picture: Picture) -> Image.Image:
    """The picture with sign boxes (magenta) and readable words (green)."""
    image = picture.image.copy()
    draw = ImageDraw.Draw(image)
    for sign in picture.signs:
        left, top, right, bottom = sign.box
        draw.rectangle([left - 1, top - 1, right, bottom], outline=(255, 0, 200), width=2)
    for word in picture.words:
        if word.readable:
            draw.polygon(word.quad, outline=(0, 255, 90))
    return image


def draw_words(picture: WordPicture) -> Image.Image:
    """The picture with characters (green), readable words (magenta) and ### words (red)."""
    image = Image.fromarray(picture.image)
    draw = ImageDraw.Draw(image)
    for quad in picture.char_quads[~picture.ignore[picture.char_words]]:
        draw.polygon([tuple(point) for point in quad], outline=(0, 255, 90))
    for quad, ignore in zip(picture.quads, picture.ignore, strict=True):
        draw.polygon([tuple(point) for point in quad], outline=(255, 40, 30) if ignore else (255, 0, 200))
    return image


def draw_pair(what: str, seed: int, index: int, truth: bool, pictures: WordPictures) -> Image.Image:
    """One tile."""
    if what == "words":
        drawn = pictures.draw(index)
        return draw_words(drawn) if truth else Image.fromarray(drawn.image)
    picture = draw_picture(seed, index)
    return draw_truth(picture) if truth else picture.image


def make_sheet(what: str, seed: int, indices: list[int], columns: int, width: int, truth_rows: int) -> Image.Image:
    """Landscape tiles in rows; the last ``truth_rows`` rows show the truth."""
    pictures = WordPictures((480, 640), seed)
    height = round(width * 0.75)
    rows = -(-len(indices) // columns)
    sheet = Image.new("RGB", (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP), (255, 255, 255))
    for place, index in enumerate(indices):
        row, column = divmod(place, columns)
        image = draw_pair(what, seed, index, row >= rows - truth_rows, pictures)
        scale = max(width / image.width, height / image.height)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        sheet.paste(image.crop((left, top, left + width, top + height)), (column * (width + GAP), row * (height + GAP)))
    return sheet


def save_below(sheet: Image.Image, out: Path, most_bytes: int) -> int:
    """Save as JPEG at the best quality that stays below ``most_bytes``; returns the bytes written."""
    for quality in range(90, 20, -4):
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() <= most_bytes:
            break
    out.parent.mkdir(parents=True, exist_ok=True)
    return out.write_bytes(buffer.getvalue())


def main() -> None:
    """Read the arguments and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("signs", "words"), default="signs")
    parser.add_argument("--out", type=Path, default=Path("docs/images/signs.jpg"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pick", type=int, nargs="+", default=list(PICKED), help="numbers of the pictures")
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--width", type=int, default=320, help="pixels of one tile")
    parser.add_argument("--truth-rows", type=int, default=1, help="last rows that show boxes and words")
    parser.add_argument("--kilobytes", type=int, default=250)
    options = parser.parse_args()
    sheet = make_sheet(options.what, options.seed, options.pick, options.columns, options.width, options.truth_rows)
    size = save_below(sheet, options.out, options.kilobytes * 1000)
    print(f"{options.out}: {sheet.width}x{sheet.height}, {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
