"""Image files: every odd one decoded by the stated policy or refused with its reason."""

import contextlib
import errno
import io
import json
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from imbpipe.errors import ImageError
from imbpipe.extract import decode as decoding
from imbpipe.extract.decode import DECODE_POLICY, FORMATS, decode, read_bytes

RAMP = np.linspace(0, 255, 16 * 12).astype(np.uint8).reshape(12, 16)
COLOURS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def reason(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data)
    return str(caught.value)


def pixels(data: bytes) -> np.ndarray:
    image = decode(data)
    assert image.mode == "RGB"
    return np.asarray(image)


# what is decoded, and to which pixels


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("PPM", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_a_lossless_format_gives_its_pixels_back(kind, options):
    assert np.array_equal(pixels(saved(Image.fromarray(COLOURS), kind, **options)), COLOURS)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_a_lossy_format_gives_what_pillow_gives(kind):
    data = saved(Image.fromarray(COLOURS), kind)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(pixels(data), np.asarray(image.convert("RGB")))


def test_grey_becomes_three_equal_channels():
    assert np.array_equal(pixels(saved(Image.fromarray(RAMP), "PNG")), np.stack([RAMP] * 3, axis=-1))


def test_one_bit_becomes_black_and_white():
    assert set(np.unique(pixels(saved(Image.fromarray(RAMP).convert("1"), "PNG")))) == {0, 255}


def test_a_palette_is_looked_up():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert pixels(saved(image, "PNG")).tolist() == [[[10, 20, 30], [200, 100, 50]]]


def sixteen_bit(samples: np.ndarray) -> Image.Image:
    return Image.fromarray(samples.astype(np.uint16))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_by_its_depth_and_not_clipped(kind):
    samples = np.array([[0, 257, 128 * 257, 65535]])
    data = saved(sixteen_bit(samples), kind)
    assert pixels(data)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_sixteen_bit_big_endian_tiff_is_read_in_its_order():
    big = tiff(np.array([[0, 25700, 65535]], ">u2"), bits=16, order=">")
    assert pixels(big)[0, :, 0].tolist() == [0, 100, 255]


def test_twelve_bit_grey_is_scaled_by_twelve_bits():
    packed = bytes([0x00, 0x08, 0x00, 0xFF, 0xF0, 0x00])  # 0, 2048, 4095, 0
    assert pixels(tiff(packed, bits=12, width=4, height=1))[0, :, 0].tolist() == [0, 128, 255, 0]


def test_sixteen_bit_tiff_whose_zero_is_white_is_turned_round():
    data = tiff(np.array([[0, 25700, 65535]], "<u2"), bits=16, zero_is_white=True)
    assert pixels(data)[0, :, 0].tolist() == [255, 155, 0]


def tiff(samples, *, bits, order="<", width=None, height=None, zero_is_white=False, floats=False) -> bytes:
    """A TIFF of one strip with one sample a pixel, written by hand."""
    height, width = (height, width) if width else samples.shape
    data = bytes(samples)
    entries = [
        (256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, 0 if zero_is_white else 1),
        (273, 4, 8), (277, 3, 1), (278, 3, height), (279, 4, len(data)), (339, 3, 3 if floats else 1),
    ]  # fmt: skip
    body = struct.pack(f"{order}H", len(entries))
    for tag, kind, value in entries:
        body += struct.pack(f"{order}HHI", tag, kind, 1) + (
            struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
        )
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(f"{order}I", 8 + len(data)) + data + body + bytes(4)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (200, 100, 50, 255), (200, 100, 50)),
        ("RGBA", (200, 100, 50, 0), (0, 0, 0)),
        ("RGBA", (200, 100, 50, 51), (40, 20, 10)),
        ("LA", (200, 0), (0, 0, 0)),
        ("LA", (200, 255), (200, 200, 200)),
    ],
)
def test_transparency_is_composited_on_black(mode, colour, expected):
    assert pixels(saved(Image.new(mode, (2, 2), colour), "PNG"))[0, 0].tolist() == list(expected)


def test_a_transparent_colour_of_a_palette_or_of_rgb_is_black_too():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putpixel((1, 0), 1)
    assert pixels(saved(palette, "GIF", transparency=1)).tolist() == [[[10, 20, 30], [0, 0, 0]]]
    rgb = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert pixels(saved(rgb, "PNG", transparency=(1, 2, 3))).tolist() == [[[0, 0, 0], [4, 5, 6]]]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_image_is_turned_upright_as_its_exif_says(kind):
    image = Image.new("RGB", (32, 16), "red")
    image.paste("blue", (16, 0, 32, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    upright = pixels(saved(image, kind, exif=exif))
    assert upright.shape == (32, 16, 3)
    assert upright[4, 8, 0] > 200 > 100 > upright[4, 8, 2], "red above"
    assert upright[28, 8, 2] > 200 > 100 > upright[28, 8, 0], "blue below"


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
    assert pixels(data)[0, 0].tolist() == [255, 0, 0]


def test_cmyk_jpegs_become_rgb():
    data = saved(Image.fromarray(COLOURS).resize((64, 48)).convert("CMYK"), "JPEG", quality=95)
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "CMYK"
        assert np.array_equal(pixels(data), np.asarray(image.convert("RGB")))


def test_real_chips_decode_to_rgb_of_256_pixels(test_data):
    chips = sorted((test_data / "planet_sample/train").glob("*.jpg"))[:20]
    for chip in chips:
        image = decode(read_bytes(chip))
        assert (image.mode, image.size) == ("RGB", (256, 256))
        assert 2 < np.asarray(image).std() < 100


# what is refused


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"just some words about a picture\n" * 40, "a text file"),
        ("eine Ärgernis-Datei, ".encode() * 100, "a text file"),
        (b"  \n<!DOCTYPE html><html><body>404</body></html>", "an HTML page"),
        (b"<html><head>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n", "git lfs pull"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "PostScript"),
        (bytes(range(256)) * 4, "no image of a known format"),
        (b"\0", "no image of a known format"),
    ],
)
def test_a_file_that_is_no_image_is_called_what_it_is(data, said):
    assert said in reason(data)


def test_a_format_outside_the_list_is_refused():
    assert "no image of a known format" in reason(saved(Image.fromarray(COLOURS), "TGA"))
    assert "EPS" not in FORMATS


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_file_is_refused_and_never_filled_with_grey(monkeypatch, kind, share):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), kind)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert reason(data[: int(len(data) * share)])


def test_a_png_cut_off_before_its_end_mark_is_refused_though_its_pixels_are_all_there():
    data = saved(Image.fromarray(COLOURS), "PNG")
    for length in range(len(data) - 40, data.index(b"IEND")):
        assert reason(data[:length]), length


@pytest.mark.filterwarnings("ignore")
def test_no_flipped_bit_of_a_png_changes_a_pixel_unnoticed():
    data = saved(Image.fromarray(COLOURS).quantize(7), "PNG", transparency=0)
    right = pixels(data)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(ImageError):
            assert np.array_equal(pixels(bytes(flipped)), right), bit


def test_floating_point_and_32_bit_samples_are_refused():
    assert "floating-point" in reason(saved(Image.fromarray(RAMP.astype(np.float32)), "TIFF"))
    assert "32-bit" in reason(saved(Image.fromarray(RAMP.astype(np.int32)), "TIFF"))


def test_a_bomb_is_refused_by_its_header_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("unpacked"))
    assert "8001 x 8000 pixels" in reason(png_header(8001, 8000))
    assert "over the cap of 64000000" in reason(png_header(20_000, 20_000))
    monkeypatch.undo()
    assert "over the cap" not in reason(png_header(8000, 8000))


def test_a_strip_that_would_fill_the_memory_once_resized_is_refused():
    assert "a strip" in reason(saved(Image.new("RGB", (1010, 10)), "PNG"))
    assert decode(saved(Image.new("RGB", (1000, 10)), "PNG")).size == (1000, 10)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (struct.error("unpack"), "damaged (unpack)"),
        (RecursionError("deep"), "damaged (deep)"),
        (MemoryError(), "too little memory"),
        (Image.DecompressionBombError("bomb"), "over the cap"),
        (SyntaxError("broken\nPNG"), "broken\\nPNG"),
        (KeyError(7), "damaged (7)"),
        (OSError(), "damaged (OSError)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_decoder_raises_becomes_a_reason(monkeypatch, error, said):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(decoding.Image, "open", fail)
    assert said in reason(saved(Image.fromarray(COLOURS), "PNG"))


# files that are no files


def unreadable(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        read_bytes(path)
    return str(caught.value)


def test_a_file_that_cannot_be_read_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to("gone.jpg")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "empty").touch()
    expected = {
        "pipe": "a pipe, not a file",
        "folder": "a folder, not a file",
        "dangling": "a dangling link to gone.jpg",
        "loop": "a symbolic link to itself",
        "empty": "an empty file (0 bytes)",
        "missing.jpg": "no such file",
        "empty/under": "no such file",
        "n" * 300: "a name too long for a file",
        "nul\0l": "a name that no file can have",
    }
    assert {name: unreadable(tmp_path / name) for name in expected} == expected
    assert unreadable(Path("/dev/null")) == "a device, not a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path):
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "secret").chmod(0)
    assert unreadable(tmp_path / "secret") == "no permission to read it"


def test_no_permission_and_disk_errors_are_the_images_fault_and_no_handles_is_the_machines(monkeypatch):
    def fail(number):
        def opened(*arguments):
            raise OSError(number, os.strerror(number))

        return opened

    monkeypatch.setattr(os, "open", fail(errno.EACCES))
    assert unreadable(Path("x")) == "no permission to read it"
    monkeypatch.setattr(os, "open", fail(errno.EIO))
    assert unreadable(Path("x")) == "the disk cannot read it"
    monkeypatch.setattr(os, "open", fail(errno.EMFILE))
    with pytest.raises(OSError, match="Too many open files"):
        read_bytes(Path("x"))


def test_a_file_over_the_cap_of_bytes_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "MAX_BYTES", 10)
    (tmp_path / "big").write_bytes(bytes(11))
    assert unreadable(tmp_path / "big") == "11 bytes, over the cap of 10"


def test_the_policy_is_json_and_names_every_choice():
    policy = json.loads(json.dumps(DECODE_POLICY))
    assert policy["alpha"] == "composited on (0, 0, 0)"
    assert policy["decoder"].startswith("pillow ")
    assert {"exif_rotation", "sixteen_bit", "frames", "max_pixels", "formats"} <= set(policy)


# laws


SEEDS = {
    kind: saved(Image.fromarray(COLOURS).resize((40, 30)), kind)
    for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP")
}
SEEDS["JPEG with EXIF"] = saved(Image.fromarray(COLOURS), "JPEG", exif=Image.Exif())
SEEDS["LZW TIFF"] = saved(Image.fromarray(COLOURS), "TIFF", compression="tiff_lzw")
SEEDS["palette PNG"] = saved(Image.fromarray(COLOURS).quantize(7), "PNG", transparency=0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", SEEDS)
@given(data=st.data())
def test_flipped_bytes_give_an_image_or_a_reason_and_nothing_else(kind, data):
    damaged = bytearray(SEEDS[kind])
    places = st.integers(0, len(damaged) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=8)):
        damaged[place] = value
    length = data.draw(st.integers(len(damaged) // 2, len(damaged)))
    with contextlib.suppress(ImageError):
        assert decode(bytes(damaged[:length])).mode == "RGB"


@given(st.binary(max_size=200))
def test_any_bytes_at_all_give_a_reason(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert reason(data)
