"""The evaluate verb: plain files, runs, and that both give one figure."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import finetune.load
from backbones.errors import DataError, UsageError
from finetune.build import build_detector, build_preprocess
from finetune.cli import main
from finetune.commands import evaluate, predict
from finetune.config_file import save_config
from finetune.options import EvaluateOptions, PredictOptions
from finetune.weights_file import WeightsInfo, save_weights
from tests.finetune.colour_run import ColourRun, write_coco, write_voc
from tests.finetune.evaluation.splits import pycocotools_figures
from tests.finetune.tiny import tiny_config, write_squares

KEYS = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


@pytest.fixture
def use_run(monkeypatch):
    """Make load_run return a given run."""

    def use(run):
        monkeypatch.setattr(finetune.load, "load_run", lambda path, device="cpu": run)
        return run

    return use


def score(tmp_path, **options):
    target = tmp_path / "figures.json"
    assert evaluate.run(EvaluateOptions(json=str(target), **options)) == 0
    return json.loads(target.read_text())["results"]


def test_coco_fixture_from_the_command_line(shared_data, capsys):
    folder = shared_data / "evaluators" / "coco"
    assert main(["evaluate", "--data", str(folder / "instances_val2014_100.json"), "--predictions", str(folder / "instances_val2014_fakebbox100_results.json"), "--json", "-"]) == 0
    captured = capsys.readouterr()
    content = json.loads(captured.out)  # nothing else is on stdout
    assert list(content) == ["results"]
    (result,) = content["results"]
    assert list(result) == ["protocol", "values", "per_class"]
    assert list(result["values"]) == KEYS
    expected = "0.504581 0.696973 0.572982 0.585626 0.519400 0.501398 0.386813 0.593680 0.595353 0.639811 0.566421 0.564291"
    assert " ".join(f"{value:.6f}" for value in result["values"].values()) == expected
    stats, per_class = pycocotools_figures(
        json.loads((folder / "instances_val2014_100.json").read_text()), json.loads((folder / "instances_val2014_fakebbox100_results.json").read_text())
    )
    assert list(result["values"].values()) == pytest.approx(stats.tolist(), abs=1e-12, rel=0)
    assert result["per_class"]["person"] == pytest.approx({"AP": per_class[1][0], "AP50": per_class[1][1]}, abs=1e-12, rel=0)
    assert result["per_class"]["fire hydrant"] == {"AP": None, "AP50": None}
    assert "0.504581" in captured.err
    assert "n/a" in captured.err


@pytest.mark.parametrize("layout", ["coco", "voc"])
def test_files_and_run_give_one_figure(tmp_path, use_run, layout):
    """Predictions written by the predict verb and scored from their file score as the run does, in every protocol."""
    data = write_coco(tmp_path / "data") if layout == "coco" else write_voc(tmp_path / "data", images=40)
    run = use_run(ColourRun(data, shift=6.0))
    protocols = ("coco", "voc2007-11pt", "voc2012-area")
    from_run = score(tmp_path, run="run", protocol=protocols)
    images = data / "val" if layout == "coco" else data / "JPEGImages"
    names = sorted((data / "ImageSets" / "Main" / "val.txt").read_text().split()) if layout == "voc" else None
    pictures = tuple(str(images / f"{name}.png") for name in names) if names else (str(images),)
    assert predict.run(PredictOptions(run="run", images=pictures, out=str(tmp_path / "out"), score=0.0, draw=False)) == 0
    from_file = score(tmp_path, data=str(data), predictions=str(tmp_path / "out" / "predictions.json"), protocol=protocols)
    assert from_file == from_run
    assert 0.05 < from_run[0]["values"]["AP"] < 0.99
    assert 0.05 < from_run[1]["values"]["mAP"] < 0.99
    assert run.batches


def test_boxes_beyond_the_picture_score_as_written_from_both_sides(tmp_path, use_run):
    data = write_coco(tmp_path / "data")
    file = data / "val" / "_annotations.coco.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["bbox"][0] -= 60
    content["annotations"][0]["bbox"][2] += 50
    content["annotations"].append({**content["annotations"][1], "id": 900, "bbox": [5, 5, 0, 0], "area": 0})
    file.write_text(json.dumps(content))
    use_run(ColourRun(data, shift=3.0))
    from_run = score(tmp_path, run="run")
    predict.run(PredictOptions(run="run", images=(str(data / "val"),), out=str(tmp_path / "out"), score=0.0, draw=False))
    from_file = score(tmp_path, data=str(file), predictions=str(tmp_path / "out" / "predictions.json"))
    assert from_file == from_run
    found = json.loads((tmp_path / "out" / "predictions.json").read_text())
    ids = {image["file_name"]: image["id"] for image in content["images"]}
    categories = {i: (3, 7, 42)[n] for n, i in enumerate((10, 17, 24))}
    results = [{"image_id": ids[e["file_name"]], "category_id": categories[e["category_id"]], "bbox": e["bbox"], "score": e["score"]} for e in found["annotations"]]
    stats, _ = pycocotools_figures(content, results)
    assert [-1 if v is None else v for v in from_file[0]["values"].values()] == pytest.approx(stats.tolist(), abs=1e-12, rel=0)


def test_validation_share_of_unsplit_data_is_scored_not_the_training_share(tmp_path, use_run):
    data = write_coco(tmp_path / "data", images=20)
    run = use_run(ColourRun(data / "train"))
    (result,) = score(tmp_path, run="run")
    assert result["values"]["AP"] == pytest.approx(1)
    assert sum(run.batches) == 4


def test_evaluations_of_a_run_are_kept_and_never_overwritten(tmp_path, use_run, capsys):
    use_run(ColourRun(write_coco(tmp_path / "data"), protocols=("voc2012-area",)))
    folder = tmp_path / "run"
    (folder / "evaluation").mkdir(parents=True)
    (folder / "evaluation" / "val.json").write_text("mine")
    for _ in range(2):
        score(tmp_path, run=str(folder))
    assert (folder / "evaluation" / "val.json").read_text() == "mine"
    for number in (2, 3):
        kept = json.loads((folder / "evaluation" / f"val-{number}.json").read_text())
        assert kept["results"][0]["protocol"] == "voc2012-area"
        assert kept["input"]["input_hw"] == [64, 96]
    printed = capsys.readouterr().out
    assert "input 64 x 96 (stretch)" in printed
    assert "voc2012-area" in printed
    assert "val-3.json" in printed.replace("\n", "")


def test_other_data_match_classes_by_name(tmp_path, use_run, capsys):
    data = write_coco(tmp_path / "data")
    file = data / "val" / "_annotations.coco.json"
    content = json.loads(file.read_text())
    content["categories"][1]["name"] = "purple"
    content["categories"].reverse()
    file.write_text(json.dumps(content))
    use_run(ColourRun(tmp_path / "gone"))
    (result,) = score(tmp_path, run="run", data=str(file))
    assert list(result["per_class"]) == ["red", "blue"]
    assert result["values"]["AP"] == pytest.approx(1)
    printed = capsys.readouterr().out
    assert "class purple -> left out, unknown to the run" in printed
    assert "class green of the run -> left out, not in the data" in printed
    content["categories"] = [{**category, "name": f"x{category['id']}"} for category in content["categories"]]
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="none in common"):
        score(tmp_path, run="run", data=str(file))


def test_missing_data_of_a_run_say_what_to_do(tmp_path, use_run):
    use_run(ColourRun(tmp_path / "gone"))
    with pytest.raises(DataError, match="gone, are not there: say where they are with --data"):
        score(tmp_path, run="run")


def test_a_broken_picture_stops_a_score(tmp_path, use_run):
    data = write_coco(tmp_path / "data")
    use_run(ColourRun(data))
    picture = data / "val" / "val3.png"
    content = bytearray(picture.read_bytes())
    content[60:90] = bytes(30)
    picture.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"val3\.png"):
        score(tmp_path, run="run")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing to score"),
        ({"data": "x"}, "nothing to score"),
        ({"run": "r", "predictions": "p"}, "not both"),
        ({"run": "r", "protocol": ("voc2007",)}, "did you mean voc2007-11pt"),
        ({"run": "r", "batch_size": 0}, "must be 1 or more"),
        ({"data": "x", "predictions": "p", "split": "valid"}, "did you mean val"),
    ],
)
def test_wrong_use_is_explained(options, message):
    with pytest.raises(UsageError, match=message):
        evaluate.run(EvaluateOptions(**options))


def test_a_real_run_folder_its_weights_file_and_its_predictions_score_alike(tmp_path, capsys):
    """An untrained network with random normalisation statistics, so that it does find something, through load_run."""
    root = write_squares(tmp_path / "data", {"train": 2, "val": 5})
    config = tiny_config(root)
    config = replace(config, ssdlite=replace(config.ssdlite, score_threshold=0.0001))
    torch.manual_seed(0)
    detector = build_detector(config, 2).train()
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # one pass gives all statistics
    with torch.no_grad():
        detector(torch.randn(4, 3, 64, 64))
    folder = tmp_path / "run"
    folder.mkdir()
    save_config(config, folder / "config.yaml")
    save_weights(folder / "model.safetensors", detector.state_dict(), WeightsInfo(config, ("red", "green"), (3, 7), detector.image_stats, build_preprocess(config)))
    figures = []
    assert main(["predict", str(folder), str(root / "val"), "--score", "0", "--out", str(tmp_path / "out")]) == 0
    predictions = tmp_path / "out" / "predictions.json"
    found = json.loads(predictions.read_text())["annotations"]
    assert len(found) > 20
    assert all(x >= 0 and x + w <= 64 and y >= 0 and y + h <= 64 for x, y, w, h in (entry["bbox"] for entry in found))
    set_truth(root / "val" / "_annotations.coco.json", found[::4])
    capsys.readouterr()
    for words in ([str(folder)], [str(folder / "model.safetensors")], ["--data", str(root), "--predictions", str(predictions)]):
        assert main(["evaluate", *words, "--protocol", "coco", "voc2007-11pt", "--json", "-"]) == 0
        figures.append(json.loads(capsys.readouterr().out))
    assert figures[0] == figures[1] == figures[2]
    assert 0 < figures[0]["results"][0]["values"]["AP"] < 1
    assert 0 < figures[0]["results"][1]["values"]["mAP"] < 1


def set_truth(file, found):
    """Let the truth be some of the detections, moved a little, so that an untrained network has a score."""
    content = json.loads(file.read_text())
    ids = {image["file_name"]: image["id"] for image in content["images"]}
    boxes = [[entry["bbox"][0] * 0.97, *entry["bbox"][1:]] for entry in found]
    content["annotations"] = [
        {"id": i, "image_id": ids[entry["file_name"]], "category_id": entry["category_id"], "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for i, (entry, box) in enumerate(zip(found, boxes, strict=True), 1)
    ]
    file.write_text(json.dumps(content))
