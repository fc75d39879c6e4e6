"""Weights on the Hugging Face hub, and in its cache."""

import hashlib
from pathlib import Path

from imbpipe.encoders.architecture import Official
from imbpipe.encoders.download import reachable
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

    Raises WeightsError: the hub is switched off or does not answer, or has none of the files.
    """
    from huggingface_hub import constants, hf_hub_download

    if constants.HF_HUB_OFFLINE:
        raise WeightsError("HF_HUB_OFFLINE is set")
    if not reachable(constants.ENDPOINT):
        raise WeightsError(f"{constants.ENDPOINT} does not answer")
    reasons = []
    for name in official.hub_files:
        try:
            return Path(hf_hub_download(official.hub, name, endpoint=constants.ENDPOINT))
        except Exception as error:  # the hub's client raises many kinds, none of them documented as all
            reasons.append(f"{name}: {type(error).__name__}")
    raise WeightsError(f"{constants.ENDPOINT}/{official.hub} gave nothing ({', '.join(reasons)})")


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
