"""Documents that carry their own checksum."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imbpipe.cache.sealed import seal, unseal, write_sealed

PLAIN = st.none() | st.booleans() | st.integers() | st.text()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=9,
)


@given(st.dictionaries(st.text(), VALUES, min_size=1))
def test_a_sealed_document_is_read_as_it_was_written_and_is_plain_json(document):
    data = seal({name: lambda name=name: document[name] for name in document})
    assert dict(unseal(data)) == document
    whole = json.loads(data)
    body = data[: -len(',"sha256":""}') - 64] + b"}"
    assert whole == document | {"sha256": hashlib.sha256(body).hexdigest()}
    assert body == json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize("place", range(0, 88, 3))
def test_a_flipped_bit_anywhere_breaks_the_seal(place):
    data = bytearray(seal({"ids": lambda: ["a", "b"]}))
    data[place] ^= 1
    with pytest.raises(ValueError, match="seal is broken"):
        dict(unseal(bytes(data)))


def test_a_file_that_holds_the_same_already_is_not_touched(tmp_path: Path):
    target, data = tmp_path / "document", seal({"a": lambda: 1})
    write_sealed(target, data)
    before = target.stat()
    write_sealed(target, data)
    assert target.stat().st_ino == before.st_ino
    write_sealed(target, seal({"a": lambda: 2}))
    assert target.stat().st_ino != before.st_ino
    assert dict(unseal(target.read_bytes())) == {"a": 2}
