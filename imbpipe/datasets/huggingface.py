"""Data sets of Hugging Face: from its hub, from its cache, or from a local folder or file in its formats."""

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.options import ReadOptions
from imbpipe.datasets.splits_of_owner import of_splits
from imbpipe.errors import DatasetError, UsageError

PREFIX = "hf:"
FORM = f"{PREFIX}NAME[#CONFIG][@REVISION][:SPLIT]"
HUB_SECONDS = 3.0
"""After which a hub that does not answer is taken for unreachable; its client would try for a minute."""

_HUB = re.compile(
    r"(?P<name>[\w.-]+(/[\w.-]+)?)(#(?P<config>[^@:]+))?(@(?P<revision>[^:]+))?(:(?P<split>[\w.-]+))?"
)
_SAVED = ("dataset_dict.json", "state.json")


@dataclass(frozen=True)
class Address:
    """name: of a data set on the hub, or empty where `path` is local. config, revision, split: as given."""

    path: Path | None
    name: str = ""
    config: str | None = None
    revision: str | None = None
    split: str | None = None


def parse_address(text: str) -> Address:
    """What stands behind `hf:`: what exists as a path is local. Raises UsageError: it is neither."""
    body = text.removeprefix(PREFIX)
    path, colon, split = body.rpartition(":")
    if body and os.path.exists(body):
        return Address(Path(body))
    if colon and os.path.exists(path):
        return Address(Path(path), split=split)
    found = _HUB.fullmatch(body)
    if not found:
        raise UsageError(f"{text!r} names no data set of Hugging Face", f"Write {FORM}, or {PREFIX}PATH")
    return Address(None, **found.groupdict())


def is_saved(path: Path) -> bool:
    """Whether the folder was written by `save_to_disk`."""
    return any((path / name).is_file() for name in _SAVED)


def holds_images(path: Path) -> bool:
    """Whether the Parquet file at `path` has images in it, as `datasets` writes them."""
    from pyarrow import ArrowException, parquet

    try:
        metadata = parquet.read_schema(path).metadata or {}
    except (ArrowException, OSError):
        return False  # its reader says what is wrong
    return b'"_type": "Image"' in metadata.get(b"huggingface", b"")


def read_huggingface(text: str, root: Path, options: ReadOptions) -> Dataset:
    """A data set with a column of images and one of labels; its splits are the owner's division.

    text: see FORM. Images that lie inside its files are unpacked below root/huggingface when they are needed,
    bytes as they are; those that lie beside them are read there.
    Raises DatasetError: the library is not installed, the hub has no such data set or does not answer
    while the cache holds none, no such split or column, labels of an unsuitable type. UsageError: see
    `parse_address`.

    Source: https://huggingface.co/docs/datasets/image_dataset
    """
    address = parse_address(text)
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import datasets
    except ImportError:
        raise DatasetError(
            f"{text} needs the package 'datasets'", "Run: pip install 'imbpipe[huggingface]'"
        ) from None
    datasets.utils.logging.set_verbosity_error()
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    found, note = _local(address.path) if address.path is not None else _from_hub(address)
    splits = dict(found) if isinstance(found, datasets.DatasetDict) else {"train": found}
    if address.split is not None:
        if address.split not in splits:
            raise DatasetError(f"{text}: no such split", f"Known: {', '.join(splits)}")
        splits = {address.split: splits[address.split]}
    place = (
        root / "huggingface" / _folder_name(str((address.path and address.path.resolve()) or address.name))
    )
    return of_splits(_name(text, address), splits, place, options, notes=note)


def _name(text: str, address: Address) -> str:
    if address.path is None:
        return text
    own = address.path.resolve().name.removesuffix(".parquet")
    return own if address.split is None else f"{own}-{address.split}"


def _folder_name(key: str) -> str:
    plain = re.sub(r"[^\w.-]+", "-", Path(key).name).strip("-.")
    return f"{plain}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def _local(path: Path) -> tuple[Any, tuple[str, ...]]:
    import datasets

    try:
        with _offline():
            if path.is_dir() and is_saved(path):
                return datasets.load_from_disk(str(path)), ()
            if path.is_dir():
                return datasets.load_dataset(str(path)), ()
            return datasets.load_dataset("parquet", data_files=str(path)), ()
    except Exception as error:  # the library raises many kinds, its own, pyarrow's and the system's
        raise DatasetError(f"cannot read {path}: {_first_line(error)}", "Save it again") from None


def _from_hub(address: Address) -> tuple[Any, tuple[str, ...]]:
    """From the hub where it answers, else from the cache."""
    import datasets
    from huggingface_hub import constants

    answers = not constants.HF_HUB_OFFLINE and _asked(address)
    try:
        if answers:
            return datasets.load_dataset(address.name, address.config, revision=address.revision), ()
        with _offline():
            found = datasets.load_dataset(address.name, address.config)
    except ValueError as error:  # a configuration is to be named, or there is no such one
        raise DatasetError(f"{address.name}: {_first_line(error)}", f"Write {FORM}") from None
    except Exception as error:
        if answers:
            raise DatasetError(f"cannot load {address.name!r}: {_first_line(error)}", "Try again") from None
        where = (
            "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} does not answer"
        )
        raise DatasetError(
            f"{where}, and the cache holds no {address.name!r}",
            f"Load it once with network, or name a local copy: {PREFIX}PATH",
        ) from None
    _check_revision(address, found)
    return found, (f"{_silence()}: {address.name!r} is taken from the cache",)


def _silence() -> str:
    from huggingface_hub import constants

    return "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} does not answer"


def _asked(address: Address) -> bool:
    """Whether the hub answers and has it. Raises DatasetError: it answers that it has not."""
    from huggingface_hub import HfApi, errors

    try:
        HfApi().dataset_info(address.name, revision=address.revision, timeout=HUB_SECONDS)
    except errors.GatedRepoError:
        fact, mend = "asks for your consent to its terms", "Give it on its page, and run: hf auth login"
    except errors.RepositoryNotFoundError:
        fact, mend = "is not on the hub, or is private", "Check the name, or run: hf auth login"
    except errors.RevisionNotFoundError:
        fact, mend = f"has no revision {address.revision!r}", "Name a branch, a tag or a commit of it"
    except Exception:
        return False
    else:
        return True
    raise DatasetError(f"the data set {address.name!r} {fact}", mend)


def _check_revision(address: Address, found: Any) -> None:
    files = [file["filename"] for split in found.values() for file in split.cache_files]
    if address.revision and not any(Path(file).parent.name.startswith(address.revision) for file in files):
        raise DatasetError(
            f"the cache may hold another revision of {address.name!r} than {address.revision!r}",
            "Run it with network",
        )


@contextmanager
def _offline() -> Iterator[None]:
    """The libraries ask no hub, as if HF_HUB_OFFLINE had been set before they were loaded."""
    from datasets import config
    from huggingface_hub import constants

    before = config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0].rstrip(".:")
