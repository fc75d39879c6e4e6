"""Images as people have them, through the whole command: file, reason, remedy and exit status of each."""

import errno
import io
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from store_faults.command import in_one_process, noise, paint, run
from store_faults.command import photos as paint_photos

from imbpipe.cache.store import FeatureStore

MEND = "Mend or replace them and run the same command again: it reads no others."


def encoded_as(kind: str, image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


JPEG, PNG = encoded_as("JPEG", noise()), encoded_as("PNG", noise())
BAD: dict[str, tuple[bytes, str]] = {
    "truncated.jpg": (JPEG[: len(JPEG) // 2], "truncated or damaged (image file is truncated"),
    "cut.png": (PNG[:-20], "truncated or damaged ("),
    "rotten.png": (flipped(PNG, 4 * len(PNG)), "truncated or damaged ("),
    "empty.jpg": (b"", "an empty file (0 bytes)"),
    "text.jpg": (b"a picture of a cat\n", "a text file, not an image"),
    "page.jpg": (
        b"<!DOCTYPE html><p>404",
        "an HTML page, not an image. Download the image again",
    ),
    "pointer.png": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "a git-lfs pointer, not the image itself. Run: git lfs pull",
    ),
    "script.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript, which is never run. Convert it to PNG"),
    "archive.jpg": (b"PK\3\4" + bytes(range(256)), "no image of a known format (BMP, GIF, JPEG, PNG,"),
    "float.tif": (
        encoded_as("TIFF", Image.fromarray(np.ones((4, 4), np.float32))),
        "floating-point samples, which have no fixed white. Convert it to 8 or 16 bits",
    ),
    "wide.tif": (
        encoded_as("TIFF", Image.fromarray(np.ones((4, 4), np.int32))),
        "32-bit or signed samples, which have no fixed white. Convert it to 8 or 16 bits",
    ),
    "bomb.png": (png_header(20_000, 20_000), "over the cap of 64000000"),
    "strip.png": (encoded_as("PNG", Image.new("L", (2000, 4))), "a strip over 100 times as long as wide"),
    "<script>alert(1)<.png": (b"", "an empty file (0 bytes)"),
}
NO_FILES = {
    "pipe.jpg": (os.mkfifo, "a pipe, not a file"),
    "folder.jpg": (os.mkdir, "a folder, not a file"),
    "dangling.jpg": (lambda path: path.symlink_to("gone.jpg"), "a dangling link to gone.jpg"),
    "loop.jpg": (lambda path: path.symlink_to(path.name), "a symbolic link to itself"),
    "secret.jpg": (lambda path: path.write_bytes(JPEG), "no permission to read it"),
}
TURNED = Image.Exif()
TURNED[0x0112] = 6
SHADES = Image.fromarray(np.array([[0, 128 * 257], [128 * 257, 65535]], np.uint16))
FRAMES = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
GOOD: dict[str, tuple[bytes, tuple[float, float, float]]] = {
    "sixteen.png": (encoded_as("PNG", SHADES), (511 / 4, 511 / 4, 511 / 4)),
    "clear.png": (encoded_as("PNG", Image.new("RGBA", (4, 4), (200, 100, 50, 51))), (40, 20, 10)),
    "moving.gif": (encoded_as("GIF", FRAMES[0], save_all=True, append_images=FRAMES[1:]), (255, 0, 0)),
    "turned.png": (encoded_as("PNG", Image.new("RGB", (9, 3), "blue"), exif=TURNED), (0, 0, 255)),
    "007": (encoded_as("PNG", Image.new("L", (3, 3), 7)), (7, 7, 7)),
    "plain.bmp": (encoded_as("BMP", Image.new("RGB", (3, 3), (1, 2, 3))), (1, 2, 3)),
}
EXTRACT = ("extract", "--encoder", "mean-colour", "--dataset", "table.csv")


def refuse_secret(patch: pytest.MonkeyPatch) -> None:
    """`secret.jpg` may not be read, whoever runs the tests."""
    real = os.open

    def opened(path: object, *rest: object, **options: object) -> int:
        if os.fspath(path).endswith("secret.jpg"):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, *rest, **options)

    patch.setattr(os, "open", opened)


def fill(folder: Path) -> None:
    for name, (data, _) in {**BAD, **GOOD}.items():
        (folder / (name if "." in name else f"{name}.png")).write_bytes(data)
    for name, (make, _) in NO_FILES.items():
        make(folder / name)
    names = [*BAD, *NO_FILES, *GOOD]
    rows = "".join(f"{name},{'xy'[row % 2]}\n" for row, name in enumerate(names))
    (folder / "table.csv").write_text(f"image,label\n{rows}")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The folder, and what the command said of it."""
    folder = tmp_path_factory.mktemp("odd")
    fill(folder)
    with pytest.MonkeyPatch.context() as patch:
        in_one_process(patch)
        refuse_secret(patch)
        patch.chdir(folder)
        return folder, run(*EXTRACT)


@pytest.mark.parametrize("name", [*BAD, *NO_FILES])
def test_a_bad_image_is_set_aside_with_file_reason_remedy_and_exit_status_3(
    outcome: tuple[Path, Result], name: str
) -> None:
    folder, result = outcome
    _, reason = (BAD | NO_FILES)[name]
    assert result.exit_code == 3
    (line,) = [line for line in result.stderr.splitlines() if line.startswith(f"Set aside: {name}: ")]
    assert reason in line
    assert result.stderr.endswith(f"{MEND}\n")
    (record,) = [
        json.loads(line)
        for line in next(folder.rglob("quarantine.jsonl")).read_text().splitlines()
        if json.loads(line)["id"] == name
    ]
    assert reason in record["reason"]
    assert record["path"] == name


def test_the_others_are_encoded_by_the_stated_policy(outcome: tuple[Path, Result]) -> None:
    folder, result = outcome
    assert (
        f"{len(GOOD)} images encoded, 0 already there, {len(BAD) + len(NO_FILES)} set aside" in result.stdout
    )
    features = FeatureStore(folder / "cache").load("table", "mean-colour")
    assert features.ids == tuple(GOOD)
    expected = np.array([colour for _, colour in GOOD.values()]) / 255
    np.testing.assert_allclose(features.features, expected, atol=1e-6)
    assert features.quarantined.keys() == {*BAD, *NO_FILES}


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 20 images, two of them bad, in which commands run."""
    in_one_process(monkeypatch)
    monkeypatch.chdir(tmp_path)
    paint_photos(tmp_path)
    (tmp_path / "photos/a/04.png").write_bytes(b"")
    (tmp_path / "photos/b/07.png").write_text("<html>")
    return tmp_path


@pytest.mark.parametrize("share", ["5%", "0.05", "0"])
def test_more_bad_images_than_allowed_end_the_command_and_keep_what_was_encoded(
    photos: Path, share: str
) -> None:
    command = ("extract", "--encoder", "mean-colour", "--dataset", "photos", "--batch-size", "20")
    result = run(*command, "--max-bad", share)
    assert result.exit_code == 1
    allowed = float(share.replace("5%", "0.05"))
    assert result.stderr == (
        f"Error: 2 of 20 images cannot be read, more than --max-bad {allowed:g} allows "
        "(first photos/a/04.png: an empty file (0 bytes)). "
        "Mend or remove them, or allow more; what was encoded is kept\n"
    )
    again = run(*command, "--max-bad", share)
    assert again.exit_code == 1
    assert f"more than --max-bad {allowed:g} allows (first photos/a/04.png: an empty file" in again.stderr
    again = run(*command, "--max-bad", "10%")
    assert again.exit_code == 3
    assert "0 images encoded, 18 already there, 2 set aside" in again.stdout


@pytest.mark.parametrize("share", ["7", "-1%", "101%", "few", "nan"])
def test_a_share_that_is_none_is_a_wrong_use(photos: Path, share: str) -> None:
    result = run("extract", "--encoder", "mean-colour", "--dataset", "photos", f"--max-bad={share}")
    assert result.exit_code == 2
    assert "--max-bad" in result.stderr
    assert not (photos / "cache").exists()


def test_once_mended_only_the_bad_images_are_read_again(photos: Path) -> None:
    command = ("extract", "--encoder", "mean-colour", "--dataset", "photos")
    assert run(*command).exit_code == 3
    paint(photos / "photos/a/04.png", 40)
    result = run(*command)
    assert (result.exit_code, "1 images encoded, 18 already there, 1 set aside" in result.stdout) == (3, True)
    (photos / "photos/b/07.png").unlink()
    result = run(*command)
    assert (result.exit_code, "0 images encoded, 19 already there, 0 set aside" in result.stdout) == (0, True)


def test_no_readable_image_at_all_is_an_error(photos: Path) -> None:
    for path in (photos / "photos").rglob("*.png"):
        path.write_bytes(b"")
    result = run("extract", "--encoder", "mean-colour", "--dataset", "photos")
    assert result.exit_code == 1
    assert "no image of 'photos' could be read (first 'a/00.png': an empty file (0 bytes))" in result.stderr
    assert "Mend them. Run: imbpipe extract --dataset photos --encoder mean-colour" in result.stderr
