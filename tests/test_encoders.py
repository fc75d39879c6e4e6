"""Encoders: the libraries' own networks and transforms, frozen, and found by name."""

import functools
import json
import subprocess
import sys

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from PIL import Image

from imbpipe.encoders import open_clip as open_clip_encoders
from imbpipe.encoders.architecture import versions
from imbpipe.encoders.encoder import ENCODERS
from imbpipe.encoders.load import load_encoder
from imbpipe.errors import UnknownNameError, UsageError, WeightsError
from imbpipe.extract.spec import spec_of

TINY_CLIP = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 50, "width": 32, "heads": 2, "layers": 1},
}
DIMENSIONS = {"clip": 512, "resnet18": 512, "torchvision:mobilenet_v3_small": 1024, "timm:test_vit": 64}


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Not square, and larger than any network wants."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 61, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((610, 400), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory):
    """Two open_clip models that differ in their activation only, and a checkpoint that fits both."""
    folder = tmp_path_factory.mktemp("clip")
    for name, quick in (("tiny-clip-quickgelu", True), ("tiny-clip", False)):
        (folder / f"{name}.json").write_text(json.dumps(TINY_CLIP | {"quick_gelu": quick}))
        open_clip.add_model_config(folder / f"{name}.json")
    torch.manual_seed(3)
    model = open_clip.create_model("tiny-clip-quickgelu", pretrained=None)
    torch.save(model.state_dict(), folder / "tiny.pt")
    return folder / "tiny.pt"


@pytest.fixture
def tiny_clip_tags(monkeypatch, tiny_clip):
    """Make the tiny models' weights published ones, under the tag `openai`, trained with QuickGELU."""
    published = {"url": "", "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4), "quick_gelu": True}
    for name in ("tiny-clip-quickgelu", "tiny-clip"):
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, name, {"openai": published})
    return tiny_clip


@pytest.fixture(scope="module")
def random_encoder():
    """Encoders with random weights, built once."""
    return functools.cache(lambda name: load_encoder(name, weights="random"))


def state(encoder) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in encoder._network.state_dict().items()}


def encode_one(encoder, image: Image.Image) -> np.ndarray:
    return encoder.encode(encoder.preprocess(image).unsqueeze(0))


def test_mean_colour_is_the_mean_of_each_channel():
    encoder = load_encoder("mean-colour")
    half = Image.new("RGB", (10, 4), (255, 0, 51))
    half.paste((0, 0, 153), (5, 0, 10, 4))
    assert encode_one(encoder, half) == pytest.approx(np.array([[0.5, 0.0, 0.4]]))
    assert encoder.dim == 3


@pytest.mark.parametrize("weights", ["random", "some.pth"])
def test_mean_colour_takes_no_weights(weights):
    with pytest.raises(UsageError, match="has no weights"):
        load_encoder("mean-colour", weights=weights)


def test_the_registered_encoders_are_listed_with_a_line_and_a_source_without_loading_a_library():
    script = (
        "import sys\n"
        "from imbpipe.encoders.encoder import ENCODERS\n"
        "assert {'clip', 'resnet18', 'mean-colour'} <= set(ENCODERS)\n"
        "assert all(ENCODERS.summary(name) for name in ENCODERS)\n"
        "heavy = {'torch', 'torchvision', 'timm', 'open_clip', 'PIL', 'huggingface_hub'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Radford" in ENCODERS.facts("clip")["Source"]
    assert "He et al." in ENCODERS.facts("resnet18")["Source"]


@pytest.mark.parametrize(("name", "dim"), DIMENSIONS.items())
def test_an_encoder_gives_one_float32_vector_an_image(random_encoder, name, dim, photo):
    encoder = random_encoder(name)
    pixels = torch.stack([encoder.preprocess(photo), encoder.preprocess(photo.rotate(90))])
    features = encoder.encode(pixels)
    assert pixels.dtype == torch.float32
    assert (features.shape, features.dtype) == ((2, dim), np.float32)
    assert encoder.dim == dim
    assert np.isfinite(features).all()
    assert not np.array_equal(features[0], features[1])


@pytest.mark.parametrize("name", ["resnet18", "timm:test_vit"])
def test_encoding_changes_neither_parameters_nor_batchnorm_statistics(random_encoder, name):
    encoder = random_encoder(name)
    before = state(encoder)
    size = encoder.preprocess(Image.new("RGB", (64, 64))).shape
    encoder.encode(torch.randn(4, *size) * 5)
    after = encoder._network.state_dict()
    assert name == "timm:test_vit" or any("running_mean" in key for key in before)
    for key, tensor in before.items():
        assert torch.equal(tensor, after[key]), key


def test_no_parameter_asks_for_a_gradient(random_encoder):
    assert not any(parameter.requires_grad for parameter in random_encoder("resnet18")._network.parameters())


def test_an_encoder_put_back_into_training_mode_refuses_to_encode():
    encoder = load_encoder("timm:test_resnet", weights="random")
    encoder._network.layer3[0].bn1.train()
    with pytest.raises(RuntimeError, match="training mode"):
        encoder.encode(torch.zeros(1, 3, 96, 96))


def test_resnet18_features_are_what_torchvision_feeds_its_last_layer(random_encoder, photo):
    encoder = random_encoder("resnet18")
    torch.manual_seed(0)
    reference = torchvision.models.resnet18(weights=None).eval()
    seen = []
    reference.fc.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    transform = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    with torch.inference_mode():
        reference(transform(photo).unsqueeze(0))
    assert torch.equal(encoder.preprocess(photo), transform(photo))
    np.testing.assert_allclose(encode_one(encoder, photo), seen[0].numpy(), rtol=1e-4, atol=1e-5)


def test_timm_features_are_those_before_timms_classifier(random_encoder, photo):
    encoder = random_encoder("timm:test_vit")
    torch.manual_seed(0)
    reference = timm.create_model("test_vit", pretrained=False, num_classes=0).eval()
    data = timm.data.resolve_model_data_config(reference)
    transform = timm.data.create_transform(**data, is_training=False)
    with torch.inference_mode():
        expected = reference(transform(photo).unsqueeze(0)).numpy()
    np.testing.assert_allclose(encode_one(encoder, photo), expected, rtol=1e-4, atol=1e-5)


def test_clip_preprocessing_is_open_clips_own(random_encoder, photo):
    published = open_clip.pretrained.get_pretrained_cfg("ViT-B-32-quickgelu", "openai")
    transform = open_clip.image_transform(
        224,
        is_train=False,
        **{field: published[field] for field in ("mean", "std", "interpolation", "resize_mode")},
    )
    assert torch.equal(random_encoder("clip").preprocess(photo), transform(photo))


def test_an_open_clip_checkpoint_gives_the_embedding_of_open_clip_not_normalised(tiny_clip_tags, photo):
    encoder = load_encoder("open_clip:tiny-clip-quickgelu/openai", weights=str(tiny_clip_tags))
    reference = open_clip.create_model("tiny-clip-quickgelu", pretrained=str(tiny_clip_tags)).eval()
    with torch.inference_mode():
        expected = reference.encode_image(encoder.preprocess(photo).unsqueeze(0)).numpy()
    np.testing.assert_allclose(encode_one(encoder, photo), expected, rtol=1e-5, atol=1e-6)
    assert abs(np.linalg.norm(expected) - 1) > 0.01


def test_weights_trained_with_quickgelu_never_run_through_gelu(tiny_clip_tags, photo):
    with pytest.raises(UsageError, match=r"trained with QuickGELU.*tiny-clip-quickgelu/openai"):
        load_encoder("open_clip:tiny-clip/openai", weights=str(tiny_clip_tags))
    quick = open_clip.create_model("tiny-clip-quickgelu", pretrained=str(tiny_clip_tags)).eval()
    plain = open_clip.create_model("tiny-clip", pretrained=None).eval()
    plain.load_state_dict(quick.state_dict())
    pixels = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        gap = (quick.encode_image(pixels) - plain.encode_image(pixels)).abs().max()
    assert gap > 1e-3, "the activations differ, and the checkpoint cannot tell"


def test_clip_computes_quickgelu(random_encoder):
    network = random_encoder("clip")._network
    activations = {type(module).__name__ for module in network.modules() if "GELU" in type(module).__name__}
    assert activations == {"QuickGELU"}


def test_every_quickgelu_tag_that_is_refused_has_the_model_that_the_message_names():
    for model, tag in open_clip.list_pretrained():
        try:
            open_clip_encoders.architecture(f"{model}/{tag}")
        except UsageError as error:
            named = error.remedy.removeprefix("Give open_clip:").partition("/")[0]
            assert named in open_clip.list_models()
            assert tag in open_clip.list_pretrained_tags_by_model(named)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("clp", "Did you mean 'clip'"),
        ("torchvision:resnet19", "torchvision:resnet18"),
        ("torchvision:resnet18/IMAGENET1K_V2", "IMAGENET1K_V1"),
        ("timm:vit_smal_patch14_dinov2", "timm:vit_small_patch14_dinov2"),
        ("timm:vit_small_patch14_dinov2.lvd142", "timm:vit_small_patch14_dinov2.lvd142m"),
        ("open_clip:ViT-B32/openai", "open_clip:ViT-B-32"),
        ("open_clip:ViT-B-32-quickgelu/opnai", "open_clip:ViT-B-32-quickgelu/openai"),
        ("keras:resnet", "open_clip:MODEL/PRETRAINED"),
    ],
)
def test_a_wrong_name_is_answered_with_the_closest_of_that_library(name, said):
    with pytest.raises(UnknownNameError) as caught:
        load_encoder(name, weights="random")
    assert said in str(caught.value)
    assert caught.value.exit_status == 2


def test_open_clip_without_a_tag_asks_for_one():
    with pytest.raises(UsageError, match=r"names no weights.*openai"):
        load_encoder("open_clip:ViT-B-32-quickgelu")


@pytest.mark.parametrize("size", ["abc", "0", "-3", "99999", "²"])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(UsageError, match="no image size"):
        load_encoder(f"timm:test_vit@{size}", weights="random")


@pytest.mark.parametrize(("name", "size"), [("timm:test_vit@64", 64), ("timm:test_resnet@96", 96)])
def test_a_timm_network_takes_another_size(name, size, photo):
    encoder = load_encoder(name, weights="random")
    assert encoder.preprocess(photo).shape == (3, size, size)
    assert encode_one(encoder, photo).shape == (1, encoder.dim)
    assert encoder.identity["preprocess"]["input_size"] == [3, size, size]


def test_a_network_that_ends_in_no_linear_layer_is_refused():
    with pytest.raises(UsageError, match="no linear layer"):
        load_encoder("torchvision:squeezenet1_1", weights="random")


@pytest.mark.parametrize("device", ["cuda:99", "tpu-of-mine", "meta"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(UsageError, match="no device"):
        load_encoder("mean-colour", device=device)


def test_random_weights_depend_on_the_seed_alone_and_are_named_random(photo):
    first = load_encoder("timm:test_vit", weights="random", seed=1)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again = load_encoder("timm:test_vit", weights="random", seed=1)
    other = load_encoder("timm:test_vit", weights="random", seed=2)
    assert torch.equal(torch.get_rng_state(), before), "the caller's random numbers are untouched"
    assert np.array_equal(encode_one(first, photo), encode_one(again, photo))
    assert first.weights == again.weights != other.weights
    assert first.weights.kind == spec_of(first)["weights"] == "random"


def test_every_field_of_the_preprocessing_stands_in_the_identity(random_encoder):
    identity = {name: random_encoder(name).identity for name in ("clip", "resnet18", "timm:test_vit")}
    clip, resnet, vit = (identity[name]["preprocess"] for name in identity)
    assert (clip["size"], clip["interpolation"], clip["resize_mode"]) == (224, "bicubic", "shortest")
    assert clip["mean"] == list(open_clip.OPENAI_DATASET_MEAN)
    assert (resnet["resize"], resnet["crop"], resnet["interpolation"]) == ([256], [224], "bilinear")
    assert resnet["mean"] == [0.485, 0.456, 0.406]
    assert {"input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode"} <= set(vit)
    for one in (clip, resnet, vit):
        assert (one["antialias"], one["mode"], one["crop_mode"]) == (True, "RGB", "center")
    for one in identity.values():
        assert one["versions"]["torch"] == ".".join(torch.__version__.split(".")[:2])


def test_a_spec_is_json_and_names_weights_precision_and_policy(random_encoder):
    encoder = random_encoder("timm:test_vit")
    spec = json.loads(json.dumps(spec_of(encoder, dtype="float16")))
    assert spec["weights_sha256"] == encoder.weights.sha256
    assert (spec["dim"], spec["dtype"], spec["precision"]) == (64, "float16", "float32")
    assert spec["decode"]["exif_rotation"] == "applied"
    assert spec["encoder"]["library"] == "timm"


def test_versions_are_cut_where_changes_are_counted():
    assert versions("timm")["timm"] == timm.__version__
    assert versions("torch")["torch"].count(".") == 1


def test_another_network_of_the_same_library_is_another_identity():
    small, large = (load_encoder(f"timm:test_vit@{size}", weights="random").identity for size in (64, 96))
    assert small != large


def test_dinov2_at_224_pixels_holds_what_timm_loads_from_the_same_file(test_data, monkeypatch):
    monkeypatch.setenv("IMBPIPE_WEIGHTS", str(test_data / "weights"))
    encoder = load_encoder("timm:vit_small_patch14_dinov2@224")
    file = str(test_data / "weights/dinov2_vits14_518_fp16.safetensors")
    reference = timm.create_model(
        "vit_small_patch14_dinov2",
        pretrained=True,
        pretrained_cfg_overlay={"file": file},
        num_classes=0,
        img_size=224,
    )
    expected, found = reference.state_dict(), state(encoder)
    assert (encoder.dim, encoder.weights.kind, encoder.weights.origin) == (384, "pretrained", file)
    assert found["pos_embed"].shape == (1, 257, 384), "resampled from 518 pixels"
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == torch.float32
        assert torch.equal(tensor, found[name]), name


def test_the_wrong_network_is_told_apart_from_a_damaged_one(tiny_clip):
    with pytest.raises(
        WeightsError, match=r"tiny.pt holds another network than resnet18: missing conv1.weight"
    ):
        load_encoder("resnet18", weights=str(tiny_clip))
