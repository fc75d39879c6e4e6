"""What all test files share: where the real data lies, and how hypothesis runs."""

import os
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("default", deadline=None, max_examples=25)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True, database=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data named by IMBPIPE_TEST_DATA; the test is skipped where it is not set."""
    folder = os.environ.get("IMBPIPE_TEST_DATA")
    if not folder:
        pytest.skip("real data: set IMBPIPE_TEST_DATA to the folder that holds it")
    return Path(folder)


@pytest.fixture(scope="session")
def real_root(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `--root` with the owners' whole label files and no images: for `images_needed=False`."""
    root = tmp_path_factory.mktemp("real")
    (root / "planet").mkdir()
    (root / "planet/train_v2.csv").symlink_to(test_data / "planet_train_v2.csv")
    (root / "ADEChallengeData2016").mkdir()
    (root / "ADEChallengeData2016/sceneCategories.txt").symlink_to(test_data / "ade20k_sceneCategories.txt")
    return root


@pytest.fixture(scope="session")
def planet_sample_root(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `--root` in which `planet` is 1,000 real chips with their labels."""
    root = tmp_path_factory.mktemp("planet-sample")
    (root / "planet").mkdir()
    (root / "planet/train-jpg").symlink_to(test_data / "planet_sample/train", target_is_directory=True)
    (root / "planet/train_v2.csv").symlink_to(test_data / "planet_sample/labels.csv")
    return root


@pytest.fixture(scope="session")
def browser():
    """Chromium without a screen; the test is skipped where it is not installed."""
    chromium = Path("/usr/bin/chromium")
    if not chromium.exists():
        pytest.skip("the page in a browser: install Debian's chromium")
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as play:
        yield play.chromium.launch(executable_path=chromium, args=arguments)
