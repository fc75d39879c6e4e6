"""Weights on the Hugging Face hub, and in its cache."""

import hashlib
from http import HTTPStatus
from pathlib import Path

from imbpipe.encoders.architecture import Official
from imbpipe.encoders.download import probe
from imbpipe.errors import WeightsError


def cached_files(official: Official) -> list[Path]:
    """Files that an earlier download left in the hub's cache, the best first."""
    if not official.hub:
        return []
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(official.hub, name) for name in official.hub_files)
    return [Path(path) for path in found if isinstance(path, str)]


def fetch(official: Official) -> Path:
    """Download the first of the hub's files that there is, into the hub's own cache.

    The hub's client waits a minute for a hub that does not answer, so each file is asked for first.

    Raises WeightsError: the hub is switched off or does not answer, or has none of the files.
    """
    from huggingface_hub import constants, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        raise WeightsError("HF_HUB_OFFLINE is set")
    for name in official.hub_files:
        status = probe(hf_hub_url(official.hub, name))
        if not status:
            raise WeightsError(f"{constants.ENDPOINT} does not answer")
        if status == HTTPStatus.OK:
            return _download(official.hub, name)
    raise WeightsError(
        f"{constants.ENDPOINT}/{official.hub} gives no {' or '.join(official.hub_files)} ({status})"
    )


def _download(repository: str, name: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repository, name))
    except Exception as error:  # the client raises many kinds, its own, its HTTP library's and the system's
        raise WeightsError(f"{name} of {repository} was not downloaded ({type(error).__name__})") from None


def check_blob(path: Path) -> None:
    """Compare a file of the cache with the SHA-256 that the hub gave it as a name.

    Raises WeightsError: they differ. A small file has another kind of name and is not checked.
    """
    blob = path.resolve()
    if len(blob.name) != 64:
        return
    with blob.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != blob.name:
            raise WeightsError(f"{path} is damaged", f"Delete {blob} and run again")
