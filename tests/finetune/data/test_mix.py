"""Training samples from several sources: shares, order, what is held out, and that maps of a teacher stay on their pictures."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from backbones.errors import DataError, UsageError
from detectors.craft.heatmaps import build_targets
from finetune.config import DataConfig
from finetune.data.dataset import SampleKey
from finetune.data.held_out import HeldOut
from finetune.data.teacher_store import TaughtPicture, TeacherFacts, TeacherStore
from finetune.data.text.drawn_words import DrawnWords
from finetune.data.text.mix import MixedSampler, share_out
from finetune.data.text.splits import load_text_splits
from finetune.data.text.taught import TaughtDataset
from finetune.data.text_preprocess import TextPreprocess
from finetune.datamodule import DetectionDataModule
from finetune.resuming import SavedState, data_facts
from tests.finetune.data.text_makers import write_icdar

LINE = b"10,10,60,10,60,30,10,30,word"
ONE_TO_ONE = TextPreprocess(1280, 1.0)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    root = tmp_path / "labelled"
    for split, count in (("train", 8), ("val", 2)):
        write_icdar(root, split, {f"img_{n}": LINE for n in range(1, count + 1)}, size=(120, 80))
    return root


def write_store(folder: Path, pictures: list[Path], planned: int | None = None) -> TeacherStore:
    """A teacher that sees text exactly where pictures are bright."""
    store = TeacherStore.begin(folder, TeacherFacts("eye", "0", "maps", ONE_TO_ONE.to_dict(), 2, planned or len(pictures)))
    for number, path in enumerate(pictures):
        grey = np.asarray(Image.open(path).convert("L"), np.float32)
        height, width = grey.shape[0] // 2 * 2, grey.shape[1] // 2 * 2
        cells = (grey[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3)) / 255).astype(np.float16)
        store.add(TaughtPicture(str(path.absolute()), (grey.shape[0], grey.shape[1]), f"{number}.npy", 1.0, [[20, 20, 60, 20, 60, 40, 20, 40]]), np.stack([cells, cells]))
    return store


def write_bright(path: Path, size: tuple[int, int] = (200, 160)) -> Path:
    """A dark picture with a few bright blots."""
    pixels = np.full((size[1], size[0], 3), 10, np.uint8)
    for x, y in ((20, 20), (90, 60), (140, 110), (30, 120)):
        pixels[y : y + 24, x : x + 32] = 245
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def module(root: Path, **settings: object) -> DetectionDataModule:
    config = DataConfig(root=str(root), input_size=(64, 64), batch_size=4, workers=0, **settings)  # type: ignore[arg-type]
    return DetectionDataModule(config, preprocess=ONE_TO_ONE)


def test_shares_are_whole_numbers_that_add_up() -> None:
    assert share_out([0.5, 0.3, 0.2], 10) == [5, 3, 2]
    assert share_out([1 / 3, 1 / 3, 1 / 3], 100) in ([34, 33, 33], [33, 34, 33], [33, 33, 34])
    assert sum(share_out([0.123, 0.456, 0.421], 1201)) == 1201
    assert share_out([1.0], 7) == [7]


def test_every_sample_of_a_source_is_seen_equally_often() -> None:
    sampler = MixedSampler([5, 1000], [0.3, 0.7], 40, seed=3)
    seen: Counter[int] = Counter()
    for epoch in range(5):
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert len(keys) == 40
        assert sum(key.image < 5 for key in keys) == 12
        seen.update(key.image for key in keys)
    assert [seen[row] for row in range(5)] == [12] * 5  # 60 of 5
    assert max(count for row, count in seen.items() if row >= 5) == 1  # 140 of 1000: none twice


def test_processes_share_out_what_one_would_see_and_a_resumed_run_repeats_it() -> None:
    whole = MixedSampler([5, 50], [0.5, 0.5], 20, seed=1)
    parts = [MixedSampler([5, 50], [0.5, 0.5], 20, seed=1, rank=rank, world=2) for rank in range(2)]
    for sampler in (whole, *parts):
        sampler.set_epoch(7)
    assert sorted(key.image for part in parts for key in part) == sorted(key.image for key in whole)
    again = MixedSampler([5, 50], [0.5, 0.5], 20, seed=1)
    again.set_epoch(7)
    assert list(again) == list(whole)
    again.set_epoch(8)
    assert list(again) != list(whole)


def test_a_mix_of_all_kinds_trains_on_each(labelled: Path, tmp_path: Path) -> None:
    pictures = [write_bright(tmp_path / "photos" / f"{n}.png") for n in range(3)]
    write_store(tmp_path / "taught", pictures)
    mix = {"words": 0.25, str(tmp_path / "taught"): 0.25, f"blank:{tmp_path / 'photos'}": 0.25}
    data = module(labelled, mix=mix, epoch_images=16)
    assert data.train_images == 16
    kinds = Counter(str(meta.image_id).partition("/")[0].partition("_")[0] for batch in data.train_dataloader() for meta in batch.metas)
    assert kinds == {"words": 4, "taught": 4, "blank": 4, "img": 4}
    said = "\n".join(data.summary)
    for words in ("mix: 16 samples an epoch", "drawn while training runs", "3 images marked by eye", "3 images, taken to have no text", "8 images of the training split"):
        assert words in said


def test_pictures_of_val_and_test_never_teach(labelled: Path, tmp_path: Path) -> None:
    held_out = sorted((labelled / "val_images").iterdir())
    assert len(held_out) == 2
    (tmp_path / "other").symlink_to(held_out[0].parent)  # by another way, too
    write_store(tmp_path / "taught", [tmp_path / "other" / held_out[0].name, write_bright(tmp_path / "p.png")])
    data = module(labelled, mix={str(tmp_path / "taught"): 0.5}, epoch_images=20)
    assert "1 images marked by eye (1 more are in val or test: left out)" in "\n".join(data.summary)
    sources = {Path(meta.source).name for batch in data.train_dataloader() for meta in batch.metas if str(meta.image_id).startswith("taught")}
    assert sources == {"p.png"}
    shutil.copytree(held_out[0].parent, tmp_path / "copies")
    known = HeldOut(held_out)
    assert not any(known.allow([*held_out, *sorted((tmp_path / "copies").iterdir())]))
    assert known.allow([tmp_path / "p.png", tmp_path / "gone.png"]) == [True, True]
    write_store(tmp_path / "only", sorted((tmp_path / "copies").iterdir()))
    with pytest.raises(DataError, match=r"all pictures of .* are in the validation or test split"):
        module(labelled, mix={str(tmp_path / "only"): 0.5}).summary  # noqa: B018


def test_words_are_not_drawn_on_pictures_of_val_and_test(labelled: Path, tmp_path: Path) -> None:
    held_out = sorted((labelled / "val_images").iterdir())
    shutil.copytree(held_out[0].parent, tmp_path / "scenery")
    with pytest.raises(DataError, match=r"backgrounds .*: all of its pictures are in the validation or test split"):
        module(labelled, mix={f"words:{tmp_path / 'scenery'}": 0.5}).summary  # noqa: B018
    write_bright(tmp_path / "scenery" / "p.png")
    data = module(labelled, mix={f"words:{tmp_path / 'scenery'}": 0.5}, epoch_images=8)
    assert f"drawn while training runs, on 1 photographs of {tmp_path / 'scenery'} (2 more are in val or test: left out)" in "\n".join(data.summary)
    assert [path.name for path in data.sources[1].samples.photographs] == ["p.png"]  # type: ignore[attr-defined]


def test_a_source_that_changed_under_a_run_is_said(labelled: Path, tmp_path: Path) -> None:
    pictures = [write_bright(tmp_path / "photos" / f"{n}.png") for n in range(3)]
    write_store(tmp_path / "taught", pictures)
    mix = {"words": 0.2, f"words:{tmp_path / 'photos'}": 0.2, str(tmp_path / "taught"): 0.2, f"blank:{tmp_path / 'photos'}": 0.2}
    before = module(labelled, mix=mix, epoch_images=8)
    saved = SavedState(data=json.loads(json.dumps(data_facts(before.splits, before.sources))))
    assert saved.check_data(before.splits, module(labelled, mix=mix, epoch_images=8).sources) == []
    write_bright(tmp_path / "photos" / "new.png")
    after = module(labelled, mix=mix, epoch_images=8)
    ending = "have changed since the run began: it goes on with those that are there now"
    names = (f"words:{tmp_path / 'photos'}", f"blank:{tmp_path / 'photos'}")
    assert saved.check_data(after.splits, after.sources) == [f"data.mix: the samples of {name} {ending}" for name in names]
    write_icdar(labelled, "train", {"img_1": LINE.replace(b"word", b"other")}, size=(120, 80))
    again = module(labelled, mix=mix, epoch_images=8)
    assert saved.check_data(again.splits, again.sources)[0].startswith("the training images or boxes have changed")
    assert not any(str(labelled) in line for line in saved.check_data(again.splits, again.sources)), "the training split is said once"
    old = SavedState(data={key: value for key, value in saved.data.items() if key != "sources"})  # of a version that did not keep them
    assert old.check_data(after.splits, after.sources) == []


def test_the_maps_of_a_teacher_lie_on_what_it_saw(tmp_path: Path) -> None:
    store = write_store(tmp_path / "taught", [write_bright(tmp_path / "a.png")])
    for augment in ("light", "strong"):
        samples = TaughtDataset(store, ONE_TO_ONE, augment, seed=0, crop_hw=(96, 128))
        for epoch in range(12):
            image, target, _ = samples[SampleKey(epoch, 0, 0)]
            assert target.maps is not None
            assert target.maps.shape == (2, 48, 64)
            bright = torch.nn.functional.avg_pool2d(image.float().mean(0)[None], 2)[0] > 110
            agree = ((target.maps[0] > 0.5) == bright).float().mean()
            assert agree > 0.97, (augment, epoch, float(agree))
            assert bright.any()  # crops lie where the teacher saw something
            built = build_targets([target], (48, 64), 2)
            assert torch.equal(built.maps[0], target.maps)


def test_samples_depend_on_the_key_alone(tmp_path: Path) -> None:
    store = write_store(tmp_path / "taught", [write_bright(tmp_path / "a.png")])
    one, two = (TaughtDataset(store, ONE_TO_ONE, "medium", seed=5, crop_hw=(64, 64)) for _ in range(2))
    key = SampleKey(3, 0, 0)
    assert torch.equal(one[key][0], two[key][0])
    assert not torch.equal(one[key][0], one[SampleKey(4, 0, 0)][0])
    drawn, again = DrawnWords((96, 128), seed=2), DrawnWords((96, 128), seed=2)
    image, target, _ = drawn[SampleKey(0, 0, 41)]
    assert image.shape == (3, 96, 128)
    assert torch.equal(image, again[SampleKey(9, 1, 41)][0])
    assert target.char_words is not None
    assert len(target.quads) == len(target.texts) == len(target.ignore)
    assert (target.char_words < len(target.quads)).all()


def test_grey_words_have_one_channel() -> None:
    assert DrawnWords((64, 64), channels=1)[SampleKey(0, 0, 3)][0].shape == (1, 64, 64)


def test_a_store_that_is_not_finished_says_how_to_go_on(labelled: Path, tmp_path: Path) -> None:
    write_store(tmp_path / "taught", [write_bright(tmp_path / "a.png")], planned=3)
    with pytest.raises(DataError, match="1 of 3 pictures are done; run the same finetune distill again"):
        module(labelled, mix={str(tmp_path / "taught"): 0.5}).summary  # noqa: B018


@pytest.mark.parametrize(
    ("mix", "message"),
    [({"nowhere": 0.5}, "'nowhere' is no folder; there are: a folder made by finetune distill"), ({"blank:nowhere": 0.5}, "nowhere is no picture, no folder")],
)
def test_a_source_that_is_not_there_is_one_line(labelled: Path, mix: dict[str, float], message: str) -> None:
    with pytest.raises((UsageError, DataError), match=message):
        module(labelled, mix=mix).summary  # noqa: B018


def test_a_torn_line_is_made_again(tmp_path: Path) -> None:
    pictures = [write_bright(tmp_path / f"{n}.png") for n in range(2)]
    store = write_store(tmp_path / "taught", pictures)
    lines = store.folder / "pictures.jsonl"
    content = lines.read_bytes()
    lines.write_bytes(content[:-20])  # killed while it wrote
    again = TeacherStore.begin(store.folder, store.facts)
    assert [Path(taught.picture).name for taught in again.done] == ["0.png"]
    again.add(store.done[1])
    assert lines.read_bytes() == content
    assert TeacherStore.open(store.folder).done == [TaughtPicture(**{**vars(one), "quads": [list(quad) for quad in one.quads]}) for one in store.done]


def test_a_store_can_be_moved_with_its_pictures(tmp_path: Path) -> None:
    write_store(tmp_path / "here" / "taught", [write_bright(tmp_path / "here" / "photos" / "a.png")])
    shutil.move(tmp_path / "here", tmp_path / "there")
    samples = TaughtDataset(TeacherStore.open(tmp_path / "there" / "taught"), ONE_TO_ONE, "light", 0, (64, 64))
    assert samples[SampleKey(0, 0, 0)][0].shape == (3, 64, 64)


@pytest.mark.parametrize("content", ["", "[]", '{"format": 7}', '{"format": 1, "teacher": "x"}'])
def test_a_damaged_store_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "teacher.json").write_text(content)
    with pytest.raises(DataError, match=r"teacher\.json cannot be used .*: make the store again with finetune distill"):
        TeacherStore.open(tmp_path)


def test_damaged_maps_are_one_line(tmp_path: Path) -> None:
    store = write_store(tmp_path / "taught", [write_bright(tmp_path / "a.png")])
    (store.folder / "maps" / "0.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match=r"0\.npy cannot be read"):
        TaughtDataset(store, ONE_TO_ONE, "light", 0, (64, 64))[SampleKey(0, 0, 0)]


def test_another_teacher_does_not_go_on_in_a_store(tmp_path: Path) -> None:
    store = write_store(tmp_path / "taught", [write_bright(tmp_path / "a.png")])
    facts = json.loads((store.folder / "teacher.json").read_text())
    del facts["format"]
    with pytest.raises(UsageError, match="was begun with another fingerprint"):
        TeacherStore.begin(store.folder, TeacherFacts(**{**facts, "fingerprint": "1"}))
    with pytest.raises(UsageError, match="is no store of a teacher: it is never overwritten"):
        TeacherStore.begin(tmp_path, TeacherFacts(**facts))


def test_splits_from_globs_of_annotation_files(labelled: Path) -> None:
    folder = "train_gts"
    splits = load_text_splits(DataConfig(root=str(labelled), train=(f"{folder}/*img_[1-5].txt", f"{folder}/gt_img_6.txt"), val=(f"{folder}/*img_[78].txt",)))
    assert splits.train is not None
    assert splits.val is not None
    assert [path.stem for path in splits.train.paths] == [f"img_{n}" for n in range(1, 7)]
    assert [path.stem for path in splits.val.paths] == ["img_7", "img_8"]
    with pytest.raises(DataError, match="is no folder of annotation files, no annotation file and no split"):
        load_text_splits(DataConfig(root=str(labelled), train=(f"{folder}/nothing_*.txt",)))
