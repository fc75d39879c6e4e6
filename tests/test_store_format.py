"""The files are what cache/README.md says: read here by that page alone, without the store's own code."""

import hashlib
import json
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from store_faults import toy

README = Path(__file__).parent.parent / "cache" / "README.md"


@pytest.fixture
def shelf(tmp_path: Path) -> toy.Shelf:
    shelf = toy.shelf(tmp_path, n=300)
    shelf.dataset.images[2].write_bytes(b"broken")
    return shelf


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_digest_and_the_row_checksums_follow_the_page(shelf: toy.Shelf) -> None:
    shelf.fill()
    with h5py.File(shelf.folder.features) as file:
        lines = [
            f"{name} S {len(file.attrs[name])} {sha(file.attrs[name])}\n" for name in ("dataset", "encoder")
        ]
        lines += [f"{name} S {len(file.attrs[name])} {sha(file.attrs[name])}\n" for name in ("task", "spec")]
        for name in ("class_names", "ids", "image_digest", "labels", "quarantined", "row_crc32"):
            data = file[name][:]
            lines.append(f"{name} {data.dtype.str} {'x'.join(map(str, data.shape))} {sha(data.tobytes())}\n")
        features = file["features"][:]
        blocks = [features[start : start + 4096] for start in range(0, len(features), 4096)]
        hashes = b"".join(hashlib.sha256(block.tobytes()).digest() for block in blocks)
        lines.append(f"features <f4 299x8 {sha(hashes)}\n")
        assert bytes(file.attrs["digest"]).decode() == sha("".join(lines).encode())
        width = file["ids"].dtype.itemsize
        for row in range(299):
            name = bytes(file["ids"][row]).ljust(width, b"\0")
            image = shelf.dataset.images[shelf.dataset.ids.index(name.rstrip(b"\0").decode())]
            assert file["image_digest"][row].tobytes() == hashlib.sha256(image.read_bytes()).digest()[:16]
            crc = zlib.crc32(name + file["image_digest"][row].tobytes() + features[row].tobytes())
            assert file["row_crc32"][row] == crc
        refused = json.loads(file["quarantined"][:].tobytes())
        assert refused == {"image0002": {"reason": "broken on purpose", "sha256": sha(b"broken")}}


def test_data_sets_and_attributes_are_those_of_the_page(shelf: toy.Shelf) -> None:
    shelf.fill()
    page = README.read_text(encoding="utf-8")
    with h5py.File(shelf.folder.features) as file:
        assert all(f"`{name}`" in page for name in (*file, *file.attrs))
        assert len(file) <= 8
        assert len(file.attrs) <= 8
        assert file.attrs["format"] == 1
        for name, found in file.items():
            assert found.fletcher32, name
            assert found.chunks == (min(256 if found.ndim == 2 else 4096, len(found)), *found.shape[1:])


def test_a_journal_can_be_read_by_the_page(shelf: toy.Shelf) -> None:
    shelf.extract(batch_size=100)
    data = shelf.folder.part(0).read_bytes()
    key = bytes.fromhex(sha(shelf.folder.spec.read_bytes()))
    assert shelf.folder.path.name.endswith(f"-{key.hex()[:12]}")
    offset, kinds, rows = 0, [], {}
    while offset < len(data):
        magic, version, kind, zero, owner, sequence, b, length, crc = struct.unpack_from(
            "<4sBBH8sIIQI", data, offset
        )
        assert (magic, version, zero, owner, sequence) == (b"IMBJ", 1, 0, key[:8], len(kinds))
        assert struct.unpack_from("<I", data, offset + 36)[0] == zlib.crc32(data[offset : offset + 36])
        payload = data[offset + 40 : offset + 40 + length]
        assert crc == zlib.crc32(payload)
        if kind == 1:
            features = np.frombuffer(payload, "<f4", b * 8, 48 * b).reshape(b, 8)
            for row in range(b):
                name, digest, *stamp = struct.unpack_from("<16s16sqq", payload, 48 * row)
                rows[name] = (digest, tuple(stamp), features[row])
        else:
            assert json.loads(payload)["spec" if kind == 0 else "reason"]
        kinds.append(kind)
        offset += 40 + length
    assert sorted(kinds) == [0, 1, 1, 1, 2]
    for place, (name, image) in enumerate(zip(shelf.dataset.ids, shelf.dataset.images, strict=True)):
        if name == "image0002":
            continue
        digest, stamp, features = rows[hashlib.sha256(name.encode()).digest()[:16]]
        assert digest == hashlib.sha256(image.read_bytes()).digest()[:16]
        assert stamp == (image.stat().st_size, image.stat().st_mtime_ns)
        np.testing.assert_array_equal(features, toy.encode(image.read_bytes(), place % 100, shelf.spec))


def test_the_plan_is_sealed_as_the_page_says(shelf: toy.Shelf) -> None:
    shelf.fill()
    data = shelf.folder.plan.read_bytes()
    plan = json.loads(data)
    seal = plan.pop("sha256")
    assert seal == sha(json.dumps(plan, sort_keys=True, separators=(",", ":")).encode())
    page = README.read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in plan)
    assert plan["packed"] == [int(row != 2) for row in range(300)]
    assert plan["digests"][2] is None
    assert plan["labels"][:2] == [[0], [1]]
