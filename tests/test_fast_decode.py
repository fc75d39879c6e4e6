"""The fast way from an image file to the network's pixels, against the libraries' own."""

import io
from pathlib import Path

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from imbpipe.encoders.compute import Compute
from imbpipe.encoders.load import load_encoder
from imbpipe.encoders.mean_colour import MeanColour
from imbpipe.encoders.resize import Resize, resize_of
from imbpipe.errors import ImageError
from imbpipe.extract import pixels as fast
from imbpipe.extract.decode import decode
from imbpipe.extract.pixels import decode_pixels, pixels_of
from imbpipe.extract.spec import compute_of, spec_of

TIMM = timm.data.create_transform(
    **timm.data.resolve_data_config({}, timm.get_pretrained_cfg("test_vit").to_dict()), is_training=False
)
TRANSFORMS = {
    "open_clip": image_transform_v2(PreprocessCfg(size=224), is_train=False),
    "torchvision": torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms(),
    "timm": TIMM,
}


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth and sharp parts, as in photographs."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 16), max(2, width // 16), 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    image.paste((255, 0, 0), (width // 3, height // 3, width // 2, height // 2))
    return image


def jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def same_as_exact(data: bytes) -> None:
    """`decode_pixels` gives what `decode` gives, pixels or the reason."""
    found = []
    for way in (decode_pixels, decode):
        try:
            found.append(np.asarray(way(data)))
        except ImageError as error:
            found.append(np.array(str(error)))
    np.testing.assert_array_equal(*found, strict=True)


def forbid_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(image):
        raise AssertionError("Pillow decodes")

    monkeypatch.setattr(fast, "upright", fail)


# decoding: bit for bit


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("options", [{"quality": 30}, {"quality": 98, "progressive": True}], ids=str)
def test_a_plain_jpeg_goes_round_pillow_and_gives_its_pixels(monkeypatch, mode, subsampling, options):
    for size in ((64, 48), (37, 41), (1, 1)):
        data = jpeg(photo(*size).convert(mode), subsampling=subsampling, **options)
        exact = np.asarray(decode(data))
        with monkeypatch.context() as patch:
            forbid_pillow(patch)
            np.testing.assert_array_equal(decode_pixels(data), exact)


@pytest.mark.parametrize("sampling", [0x14, 0x41, 0x31, 0x42, 0x00, 0xFF])
def test_odd_ratios_of_chroma_come_out_as_in_the_exact_way(sampling):
    data = bytearray(jpeg(photo(40, 24), subsampling=0))
    data[data.index(b"\xff\xc0") + 11] = sampling
    same_as_exact(bytes(data))


def test_what_libjpeg_turbo_has_no_memory_for_is_pillows_to_judge(monkeypatch):
    def fail(data, colours):
        raise MemoryError

    monkeypatch.setattr(fast.simplejpeg, "decode_jpeg", fail)
    same_as_exact(jpeg(photo(40, 24)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_that_says_how_it_was_held_is_turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    same_as_exact(jpeg(photo(40, 24), exif=exif))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_editor_that_says_so_in_its_own_words_is_heard_too(orientation):
    xmp = f'<rdf:Description tiff:Orientation="{orientation}"/>'.encode()
    data = jpeg(photo(40, 24), xmp=xmp)
    same_as_exact(data)
    assert decode_pixels(data).shape == ((24, 40, 3) if orientation < 5 else (40, 24, 3))


def test_of_several_photos_in_a_file_the_first_is_taken():
    buffer = io.BytesIO()
    photo(40, 24).save(buffer, "MPO", save_all=True, append_images=[photo(40, 24, seed=1)])
    same_as_exact(buffer.getvalue())


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("I;16", "PNG"), ("RGB", "WEBP"), ("P", "GIF")],
)  # fmt: skip
def test_whatever_is_no_plain_jpeg_comes_out_as_in_the_exact_way(mode, kind):
    samples = np.linspace(0, 65535, 30 * 20).reshape(20, 30).astype(np.uint16)
    image = Image.fromarray(samples) if mode == "I;16" else photo(30, 20).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, kind)
    same_as_exact(buffer.getvalue())


@given(
    cut=st.floats(0, 1), flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 7)), max_size=3),
    progressive=st.booleans(), tail=st.binary(max_size=4),
)  # fmt: skip
@settings(max_examples=120)
def test_a_damaged_jpeg_is_judged_as_in_the_exact_way(cut, flips, progressive, tail):
    whole = jpeg(photo(48, 40), progressive=progressive)
    data = bytearray(whole[: int(cut * len(whole))] if cut < 0.7 else whole)
    for place, bit in flips:
        if data:
            data[int(place * (len(data) - 1))] ^= 1 << bit
    same_as_exact(bytes(data) + tail)


# resizing: within 2 of 255 where the library works on Pillow images


@pytest.mark.parametrize("library", TRANSFORMS)
@pytest.mark.parametrize("size", [(256, 256), (683, 512), (224, 224), (50, 31), (500, 90)])
def test_a_resized_photo_is_that_of_the_library_within_two_steps_of_255(library, size):
    transform = TRANSFORMS[library]
    resize = resize_of(transform)
    image = photo(*size)
    std = torch.tensor(resize.std).view(3, 1, 1)
    scaled = resize.scale(resize(np.array(image)).unsqueeze(0))[0]
    steps = (scaled - transform(image)).abs() * std * 255
    assert steps.max() < 2.5
    assert (steps < 0.5).float().mean() > 0.98


def test_the_steps_are_read_off_the_libraries_transforms():
    assert resize_of(TRANSFORMS["open_clip"]) == Resize(
        224, 224, "bicubic", open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    )
    assert resize_of(TRANSFORMS["torchvision"]).short == 256
    assert (resize_of(TIMM).short, resize_of(TIMM).crop) == (168, 160)


@pytest.mark.parametrize(
    "transform",
    [
        image_transform_v2(PreprocessCfg(size=224, resize_mode="squash"), is_train=False),
        image_transform_v2(PreprocessCfg(size=224, resize_mode="longest"), is_train=False),
        image_transform_v2(PreprocessCfg(size=(224, 320)), is_train=False),
        image_transform_v2(PreprocessCfg(size=224), is_train=True),
        lambda image: image,
    ],
)
def test_a_transform_of_other_steps_is_left_to_its_library(transform):
    assert resize_of(transform) is None


@pytest.mark.parametrize(
    ("name", "weights"),
    [("resnet18", "pretrained"), ("timm:vit_small_patch14_dinov2@224", "pretrained"), ("clip", "random")],
)
def test_features_of_real_chips_agree_with_the_librarys_own_transform(name, weights, test_data, monkeypatch):
    """CLIP with random weights, since its own are not to be had."""
    monkeypatch.setenv("IMBPIPE_WEIGHTS", str(test_data / "weights"))
    encoder = load_encoder(name, weights=weights, compute=Compute("torch"))
    chips = sorted((test_data / "planet_sample/train").glob("*.jpg"))[::100]
    data = [chip.read_bytes() for chip in chips]
    ours = encoder.encode(torch.stack([pixels_of(encoder, each) for each in data]))
    own = torch.stack([encoder.preprocess(Image.open(chip).convert("RGB")) for chip in chips])
    theirs = encoder.encode(own)
    cosines = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosines.min() >= 0.9999


# what the store is told


def test_the_choice_is_part_of_the_stores_key_and_can_be_read_back():
    specs = {}
    for choice in ("fast", "exact"):
        how = Compute("torch", preprocess=choice)
        specs[choice] = spec_of(load_encoder("timm:test_vit", weights="random", compute=how))
    assert specs["fast"]["encoder"]["preprocess"] != specs["exact"]["encoder"]["preprocess"]
    assert "jpeg" in specs["fast"]["decode"]
    for choice, spec in specs.items():
        assert compute_of(spec) == Compute("torch", "float32", choice)


def test_exact_preprocessing_is_the_librarys_own_to_the_last_bit(tmp_path):
    encoder = load_encoder("timm:test_vit", weights="random", compute=Compute(preprocess="exact"))
    image = photo(90, 70)
    image.save(tmp_path / "photo.png")
    assert torch.equal(pixels_of(encoder, Path(tmp_path / "photo.png").read_bytes()), TIMM(image))


def test_an_encoder_without_such_steps_is_given_pillows_images():
    assert pixels_of(MeanColour(), jpeg(Image.new("RGB", (8, 8), (51, 51, 51)))).flatten().tolist() == (
        pytest.approx([0.2] * 3)
    )
