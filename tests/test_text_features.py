"""Class names as captions: encoded, kept, read back, made into heads; by CLIP models with random weights."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from imbpipe.cache.fill import fill
from imbpipe.cache.gc import collect
from imbpipe.cache.layout import Folder
from imbpipe.cache.repair import repair
from imbpipe.cache.store import FeatureStore
from imbpipe.cache.verify import verify
from imbpipe.cli import main
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.prompts import SATELLITE, captions, templates_of
from imbpipe.datasets.splits import Split
from imbpipe.encoders.load import load_encoder
from imbpipe.encoders.open_clip import architecture
from imbpipe.encoders.text import TextEncoder
from imbpipe.errors import PlanError, StoreError, UsageError
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.material import Material, gather
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.extract.pixels import pixels_of
from imbpipe.extract.spec import spec_of
from imbpipe.heads.bank import train_heads
from imbpipe.heads.posthoc import finish
from imbpipe.heads.posthoc.finish import finished_heads
from imbpipe.heads.run import HeadConfig, Protocol, Run
from imbpipe.strategies.plan import Phase, Plan
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import TrainingSet

VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
MODELS = {
    "tiny-reader": {"embed_dim": 12, "quick_gelu": True, "vision_cfg": VISION, "text_cfg": TEXT},
    "tiny-custom": {"embed_dim": 12, "custom_text": True, "vision_cfg": VISION, "text_cfg": TEXT},
    "tiny-foreign": {
        "embed_dim": 12, "vision_cfg": VISION, "text_cfg": {"hf_model_name": "an/other", "context_length": 9},
    },
}  # fmt: skip
CLASSES = ("bare_ground", "home office", "sea")


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Iterator[dict[str, Path]]:
    """Two tiny CLIP models with checkpoints, and one whose text tower would have to be fetched."""
    folder = tmp_path_factory.mktemp("models")
    published = open_clip.pretrained._PRETRAINED
    for name, config in MODELS.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
        open_clip.add_model_config(folder / f"{name}.json")
        published[name] = {"ours": {"url": "", "quick_gelu": bool(config.get("quick_gelu"))}}
    files = {}
    for name in ("tiny-reader", "tiny-custom"):
        torch.manual_seed(4)
        files[name] = folder / f"{name}.pt"
        torch.save(open_clip.create_model(name, pretrained=None).state_dict(), files[name])
    yield files
    for name in MODELS:
        del published[name]


@pytest.fixture(scope="module")
def reader(models):
    return load_encoder("open_clip:tiny-reader/ours", weights=str(models["tiny-reader"]))


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Dataset:
    """Twelve images of three classes."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for row in range(12):
        pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{row}.png")
    paths = tuple(folder / f"{row}.png" for row in range(12))
    labels = np.eye(3, dtype=bool)[np.arange(12) % 3]
    return Dataset("photos", tuple(p.name for p in paths), paths, labels, CLASSES, "single-label")


@pytest.fixture
def store(tmp_path, photos, reader) -> FeatureStore:
    store = FeatureStore(tmp_path / "cache")
    fill(store, photos, reader)
    return store


def stored(store: FeatureStore, reader: Any) -> Any:
    return store.text("photos", reader.name, spec_of(reader))


def file_of(store: FeatureStore, reader: Any) -> Path:
    return Folder.of(store.root, "photos", reader.name, spec_of(reader)).text


def own_classifier(models: dict[str, Path], templates: tuple[str, ...]) -> np.ndarray:
    """(c, d) as open_clip builds it."""
    model = open_clip.create_model("tiny-reader", pretrained=str(models["tiny-reader"])).eval()
    names = [name.replace("_", " ") for name in CLASSES]
    tokenizer = open_clip.get_tokenizer("tiny-reader")
    return open_clip.build_zero_shot_classifier(model, tokenizer, names, templates).numpy().T


def test_a_caption_holds_the_class_name_as_words():
    assert captions("bare_ground", SATELLITE)[0] == "a satellite photo of bare ground."
    assert captions("{}", ("a {} and a {}.",)) == ["a {} and a {}."]
    assert templates_of("planet") == SATELLITE != templates_of("my folder")


@pytest.mark.parametrize("name", ["tiny-reader", "tiny-custom"])
@pytest.mark.parametrize("random", [True, False])
def test_text_features_are_those_of_open_clip_not_normalised(models, name, random):
    weights = "random" if random else str(models[name])
    encoder = load_encoder(f"open_clip:{name}/ours", weights=weights)
    prompts = [f"a photo of {number} things." for number in range(70)]
    found = encoder.encode_text(prompts)
    assert isinstance(encoder, TextEncoder)
    assert (found.shape, found.dtype) == ((70, encoder.dim), np.float32)
    if random:
        assert np.array_equal(found, load_encoder(encoder.name, weights="random").encode_text(prompts))
        return
    model = open_clip.create_model(name, pretrained=str(models[name])).eval()
    with torch.inference_mode():
        expected = model.encode_text(open_clip.get_tokenizer(name)(prompts)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_text_tower_of_clip_is_the_part_of_open_clips_model_that_reads():
    with torch.device("meta"):
        tower = architecture("ViT-B-32-quickgelu/openai").text.initialise()
        model = open_clip.create_model("ViT-B-32-quickgelu", pretrained=None, device="meta")
    whole = {name: value.shape for name, value in model.state_dict().items()}
    read = {name: shape for name, shape in whole.items() if not name.startswith(("visual.", "logit_scale"))}
    assert {name: value.shape for name, value in tower.state_dict().items()} == read


def test_the_text_tower_is_not_built_before_it_is_asked_for(models, monkeypatch):
    from imbpipe.encoders import open_clip as ours

    monkeypatch.setattr(ours, "_text_tower", lambda config: pytest.fail("built"))
    load_encoder("open_clip:tiny-reader/ours", weights=str(models["tiny-reader"]))


def test_extraction_keeps_the_classes_as_open_clip_s_own_zero_shot_classifier(models, store, reader):
    features = store.load("photos", reader.name)
    assert stored(store, reader).templates == templates_of("photos")
    np.testing.assert_allclose(features.text, own_classifier(models, templates_of("photos")), atol=1e-6)


class Counting:
    """A reader that counts the captions it is asked for."""

    def __init__(self, reader: Any, identity: dict | None = None) -> None:
        self.reader, self.identity_, self.captions = reader, identity or {}, []

    def encode_text(self, prompts: Any) -> np.ndarray:
        self.captions += prompts
        return self.reader.encode_text(prompts)

    def text_identity(self) -> dict:
        return {**self.reader.text_identity(), **self.identity_}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.reader, name)


def test_class_names_are_encoded_again_only_where_something_changed(store, photos, reader):
    def encoded(dataset: Dataset = photos, identity: dict | None = None, **how: Any) -> list[str]:
        counting = Counting(reader, identity)
        fill(store, dataset, counting, **how)
        return counting.captions

    assert encoded() == []
    assert encoded(templates=("a drawing of {}.",)) == [f"a drawing of {name}." for name in
                                                       ("bare ground", "home office", "sea")]  # fmt: skip
    assert encoded() == [], "what was asked for stays"
    assert encoded(replace(photos, class_names=("a", "b", "c"))) == [
        f"a drawing of {name}." for name in "abc"
    ]
    assert store.load("photos", reader.name).text.shape == (3, reader.dim)
    assert len(encoded(identity={"weights_sha256": "other"})) == 3
    assert encoded(identity={"weights_sha256": "other"}) == []


def test_captions_of_other_classes_are_not_taken_for_those_of_the_features(store, reader):
    path, text = file_of(store, reader), stored(store, reader)
    store.write_text("photos", reader.name, spec_of(reader), replace(text, class_names=("a", "b", "c")))
    assert path.exists()
    assert store.load("photos", reader.name).text is None


def test_no_byte_of_the_stored_file_can_change_unnoticed(store, reader):
    path, before = file_of(store, reader), stored(store, reader)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for at in [*range(24), *rng.integers(0, len(data), 200).tolist()]:
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :])
        try:
            found = stored(store, reader)
        except StoreError:
            refused += 1
        else:
            assert found.features.tobytes() == before.features.tobytes()
            assert (found.class_names, found.templates, found.tower) == (
                before.class_names, before.templates, before.tower,
            )  # fmt: skip
    assert refused > 200
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(StoreError, match=r"text.safetensors is damaged.*Run: imbpipe cache repair"):
        store.load("photos", reader.name)


def test_damage_is_found_set_aside_and_mended_by_the_next_extraction(store, photos, reader):
    path = file_of(store, reader)
    whole = path.read_bytes()
    assert verify(path.parent).ok
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    [problem] = verify(path.parent).problems
    assert "text.safetensors is damaged" in problem
    assert [aside.name for aside in repair(path.parent).aside] == ["text.safetensors.aside-0"]
    assert store.load("photos", reader.name).text is None
    fill(store, photos, reader)
    assert path.read_bytes() == whole, "the same captions give the same bytes"
    collect(store.root)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "LOCK", "PLAN.json", "SPEC.json", "features.h5", "text.safetensors",
    ]  # fmt: skip


def test_a_full_disk_leaves_what_there_was(store, photos, reader, monkeypatch):
    before = file_of(store, reader).read_bytes()
    monkeypatch.setattr("os.writev", lambda fd, buffers: sum(map(len, buffers)) - 1)
    with pytest.raises(StoreError, match="disk is full"):
        fill(store, photos, reader, templates=("a drawing of {}.",))
    monkeypatch.undo()
    assert file_of(store, reader).read_bytes() == before
    assert not list(file_of(store, reader).parent.glob("*.tmp-*"))


def test_text_features_that_are_not_finite_are_not_stored(store, reader):
    text = stored(store, reader)
    text.features[1, 0, 3] = np.nan
    with pytest.raises(StoreError, match="text features of class 'home office' are not finite"):
        store.write_text("photos", reader.name, spec_of(reader), text)


def test_captions_that_cannot_be_used_are_refused_before_anything_is_encoded(store, photos, reader):
    with pytest.raises(UsageError, match=r"'a photo' names no class. Put \{\} where"):
        fill(store, photos, reader, templates=("a photo",))
    with pytest.raises(UsageError, match="captions for 'mean-colour', which reads none"):
        fill(store, photos, load_encoder("mean-colour"), templates=("a photo of {}",))


def test_the_command_takes_captions(tmp_path, photos, models):
    labels = photos.images[0].parent / "labels.csv"
    rows = "".join(f"{path.name},{'ab'[row % 2]}\n" for row, path in enumerate(photos.images))
    labels.write_text(f"image,label\n{rows}")
    command = ["extract", "--dataset", str(labels), "--cache", str(tmp_path / "cache"),
               "--encoder", "open_clip:tiny-reader/ours", "--weights", "random"]  # fmt: skip
    done = CliRunner().invoke(main, [*command, "--template", "my {}", "--template", "the {}"])
    assert done.exit_code == 0, done.output
    encoder = load_encoder("open_clip:tiny-reader/ours", weights="random")
    text = FeatureStore(tmp_path / "cache").text("labels", encoder.name, spec_of(encoder))
    assert (text.templates, text.class_names) == (("my {}", "the {}"), ("a", "b"))


def test_weights_of_the_image_tower_alone_encode_images_and_say_what_they_are_not_for(
    tmp_path, photos, models
):
    whole = torch.load(models["tiny-reader"], weights_only=True)
    file = tmp_path / "image-tower.pt"
    torch.save({name: tensor for name, tensor in whole.items() if name.startswith("visual.")}, file)
    command = ["extract", "--dataset", str(tmp_path / "images"), "--cache", str(tmp_path / "cache"),
               "--encoder", "open_clip:tiny-reader/ours", "--weights"]  # fmt: skip
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
    for row, path in enumerate(photos.images):
        shutil.copy(path, tmp_path / "images" / "ab"[row % 2])
    done = CliRunner().invoke(main, [*command, str(file)])
    assert done.exit_code == 0, done.output
    assert "image-tower.pt holds no text tower: these features are not for zero-shot" in done.output
    alone = FeatureStore(tmp_path / "cache").load("images", "open_clip:tiny-reader/ours")
    assert alone.text is None
    asked = CliRunner().invoke(main, [*command, str(file), "--template", "my {}"])
    assert asked.exit_code == 1
    assert "hold no text tower. Give --weights a file with both towers" in asked.output
    both = CliRunner().invoke(main, [*command, str(models["tiny-reader"])])
    assert "0 images encoded" in both.output, "the images are the same by the same tower"
    assert "text tower" not in both.output
    found = FeatureStore(tmp_path / "cache").load("images", "open_clip:tiny-reader/ours")
    assert found.text.shape == (2, 12)
    np.testing.assert_array_equal(found.features, alone.features)


def training_set(features: np.ndarray, task: Any, text: np.ndarray | None, c: int = 3) -> TrainingSet:
    labels = np.eye(c, dtype=bool)[np.arange(len(features)) % c]
    return TrainingSet(features, labels, tuple("abcdefgh"[:c]), task, text)


@pytest.mark.parametrize("strategy", ["zero-shot", "text-init"])
def test_features_without_text_are_refused_with_the_remedy(strategy):
    data = training_set(np.ones((6, 4), np.float32), "multi-label", None)
    with pytest.raises(PlanError, match=rf"{strategy!r} needs text .*imbpipe extract --encoder clip"):
        STRATEGIES[strategy](data, np.random.default_rng(0))


@pytest.mark.parametrize("name", ["mean-colour", "resnet18", "open_clip:tiny-foreign/ours"])
def test_encoders_that_cannot_read_keep_no_text(name, models, photos, tmp_path):
    encoder = load_encoder(name, weights="pretrained" if name == "mean-colour" else "random")
    assert not isinstance(encoder, TextEncoder)
    if name == "mean-colour":
        fill(FeatureStore(tmp_path), photos, encoder)
        assert FeatureStore(tmp_path).load("photos", name).text is None


def logits_of(features: np.ndarray, data: TrainingSet, plan: Plan, protocol: Protocol) -> np.ndarray:
    """(n, c) of the finished head."""
    rows = np.arange(len(features))
    [bank] = finished_heads(features, data.labels, [Run(rows, rows, plan, 0)], protocol)
    assert bank.softmax.tolist() == [data.task == "single-label"]
    return bank.logits(features)[0]


@pytest.mark.parametrize("kind", ["mlp", "linear", "cosine"])
def test_zero_shot_logits_are_open_clips_own_formula(models, store, photos, reader, kind):
    features = store.load("photos", reader.name)
    model = open_clip.create_model("tiny-reader", pretrained=str(models["tiny-reader"])).eval()
    pixels = torch.stack([pixels_of(reader, path.read_bytes()) for path in photos.images])
    with torch.inference_mode():
        images = model.encode_image(reader.resize.scale(pixels), normalize=True).numpy()
    expected = 100 * images @ own_classifier(models, templates_of("photos")).T
    protocol = Protocol(HeadConfig(kind, 8), epochs=1)
    for task in ("single-label", "multi-label"):
        data = training_set(features.features, task, features.text)
        plan = STRATEGIES["zero-shot"](data, np.random.default_rng(0))
        found = logits_of(features.features, data, plan, protocol)
        wanted = expected if task == "single-label" else expected - expected.mean(axis=0)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
@pytest.mark.parametrize("kind", ["mlp", "linear", "cosine"])
def test_text_initialised_heads_start_as_the_zero_shot_classifier_and_then_learn(kind, task):
    rng = np.random.default_rng(1)
    features = rng.normal(size=(30, 5)).astype(np.float32)
    text = rng.normal(size=(3, 5)).astype(np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    data = training_set(features, task, text)
    plan = STRATEGIES["text-init"](data, rng, scale=20)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    bias = 0 if task == "single-label" else -20 * (features / lengths @ text.T).mean(axis=0)
    expected = 20 * features @ text.T / (lengths if kind == "cosine" else lengths.mean()) + bias
    protocol = Protocol(HeadConfig(kind, 8), epochs=1, learning_rate=0)
    np.testing.assert_allclose(logits_of(features, data, plan, protocol), expected, rtol=1e-4, atol=1e-4)
    learned = logits_of(features, data, plan, replace(protocol, learning_rate=0.01))
    assert np.abs(learned - expected).max() > 0.01


def test_an_mlp_that_is_too_narrow_to_start_from_text_is_refused_by_name():
    data = training_set(np.ones((8, 4), np.float32), "multi-label", np.eye(4, dtype=np.float32), 4)
    run = Run(np.arange(8), np.arange(8), STRATEGIES["text-init"](data, np.random.default_rng(0)), 0)
    with pytest.raises(
        PlanError, match=r"hidden layer of 7 units .* 4 classes.*'linear' or 'cosine'.* 8 hidden"
    ):
        train_heads(data.features, data.labels, [run], Protocol(HeadConfig(hidden=7)))


@pytest.mark.parametrize("kind", ["mlp", "linear", "cosine"])
def test_heads_with_and_without_a_start_trained_together_equal_heads_trained_alone(kind):
    rng = np.random.default_rng(2)
    features = rng.normal(size=(40, 5)).astype(np.float32)
    data = training_set(features, "multi-label", np.eye(3, 5, dtype=np.float32))
    start = STRATEGIES["text-init"](data, rng)
    plans = [
        Plan(),
        start,
        replace(start, phases=(Phase(loss="focal"),)),
        STRATEGIES["text-init"](data, rng, scale=5),
    ]
    runs = [Run(np.arange(40), np.arange(0), plan, seed) for plan in plans for seed in (0, 1)]
    protocol = Protocol(HeadConfig(kind, 8), epochs=2, batch_size=8)
    for bank in train_heads(features, data.labels, runs, protocol):
        for place, number in enumerate(bank.runs):
            [alone] = train_heads(features, data.labels, [runs[number]], protocol)
            for name, value in alone.parameters.items():
                np.testing.assert_array_equal(bank.parameters[name][place], value[0], err_msg=name)


def test_other_captions_change_the_key_of_runs_that_read_them_and_of_no_other(store, photos, reader):
    features = store.load("photos", reader.name)
    rows = np.arange(12)
    settings = (BASELINE, Setting.of("zero-shot"), Setting.of("text-init"))

    def keys(text: np.ndarray | None) -> list[str]:
        material = gather(photos, replace(features, text=text))
        grid = Grid(material, Split("by hand", rows[:6], rows[6:9], rows[9:]), settings, (0,))
        return [grid.keys[setting, 0] for setting in settings]

    one, other, none = keys(features.text), keys(features.text[::-1]), keys(None)
    assert one[0] == other[0] == none[0]
    assert len({*one[1:], *other[1:], *none[1:]}) == 6


def test_a_grid_hands_the_captions_of_its_own_classes_to_the_strategies(
    store, photos, reader, tmp_path, monkeypatch
):
    features = store.load("photos", reader.name)
    rows = np.arange(12)
    split = Split("by hand", rows[:6], rows[6:9], rows[9:])
    settings = (Setting.of("baseline"), Setting.of("zero-shot"), Setting.of("text-init", loss="bce"))
    grid = Grid(gather(photos, features), split, settings, (0,), Protocol(epochs=1))
    results = ResultStore(tmp_path / "results")
    trained = []

    def spy(features, labels, runs, protocol, **how):
        trained.append(len(runs))
        return train_heads(features, labels, runs, protocol, **how)

    monkeypatch.setattr(finish, "train_heads", spy)
    grid.train(results)
    assert trained == [2], "a head that starts elsewhere is another head"
    baseline, found, started = (
        results.scores("photos", reader.name, grid.keys[setting, 0]).test for setting in settings
    )
    assert not np.array_equal(started, baseline)
    unit = features.features / np.linalg.norm(features.features, axis=1, keepdims=True)
    expected = torch.softmax(torch.tensor(100 * unit[9:] @ features.text.T), 1).numpy()
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=1e-3)
    renamed = Material(features.features, replace(photos, class_names=("x", "y", "z")), features, ())
    with pytest.raises(PlanError, match="needs text features"):
        replace(grid, material=renamed).train(results)
