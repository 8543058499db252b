"""Draw docs/images/signs.jpg: a few pictures of the embedded sample set side by side, some with their truth drawn in.

python tools/contact_sheet.py --out docs/images/signs.jpg
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image, ImageDraw

from finetune.samples.scene import draw_picture
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


def make_sheet(seed: int, indices: list[int], columns: int, width: int, truth_rows: int) -> Image.Image:
    """Landscape tiles in rows; the last ``truth_rows`` rows show the truth."""
    height = round(width * 0.75)
    rows = -(-len(indices) // columns)
    sheet = Image.new("RGB", (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP), (255, 255, 255))
    for place, index in enumerate(indices):
        picture = draw_picture(seed, index)
        row, column = divmod(place, columns)
        image = draw_truth(picture) if row >= rows - truth_rows else picture.image
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
    parser.add_argument("--out", type=Path, default=Path("docs/images/signs.jpg"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pick", type=int, nargs="+", default=list(PICKED), help="numbers of the pictures")
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--width", type=int, default=320, help="pixels of one tile")
    parser.add_argument("--truth-rows", type=int, default=1, help="last rows that show boxes and words")
    parser.add_argument("--kilobytes", type=int, default=250)
    options = parser.parse_args()
    sheet = make_sheet(options.seed, options.pick, options.columns, options.width, options.truth_rows)
    size = save_below(sheet, options.out, options.kilobytes * 1000)
    print(f"{options.out}: {sheet.width}x{sheet.height}, {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
