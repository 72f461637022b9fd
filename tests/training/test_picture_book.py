"""The picture book: its numbers, and the page in a browser, in both languages, offline."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from kaimen.bench import synthetic
from kaimen.errors import SettingsError
from kaimen_train.autoencoder import picture_book
from kaimen_train.data.corpus import read_manifest

SPEECH = Path("../shared/speech/manifest.csv")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
ALONE = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--proxy-server=127.0.0.1:9", "--virtual-time-budget=5000", "--dump-dom",
)  # fmt: skip

# Of Keras, which draws seeds up to 1e9, a float.
pytestmark = pytest.mark.filterwarnings("ignore:non-integer arguments to randrange")


def test_a_picture_has_its_highest_row_first() -> None:
    shown = picture_book.picture(np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]))
    assert (shown["width"], shown["height"]) == (3, 2)
    assert list(base64.b64decode(shown["bytes"])) == [255, 255, 0, 0, 0, 255]


@pytest.mark.slow
@pytest.mark.skipif(not SPEECH.exists(), reason="needs ../shared/speech")
def test_a_page_needs_phrases_to_draw() -> None:
    rows = [row for row in read_manifest(SPEECH) if row.corpus == "arabic40"][:1]
    with pytest.raises(SettingsError):
        picture_book.write(rows, Path("nowhere.html"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not SPEECH.exists():
        pytest.skip("needs ../shared/speech")
    out = tmp_path_factory.mktemp("book") / "kaimen.html"
    rows = read_manifest(SPEECH)
    # Two takes a speaker enroll and one probes: enough to draw, and soon done.
    few = [row for row in rows if row.split == "eval" and row.take in (1, 2, 6)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture_book, "SIZES", (20, 100, 500))
        picture_book.write([row for row in few if row.corpus == picture_book.PHRASED], out)
    return out


def held(page: Path) -> dict:
    text = page.read_text(encoding="utf-8")
    return json.JSONDecoder().raw_decode(text[text.index("const D = ") + 10 :])[0]


@pytest.mark.slow
def test_the_page_holds_every_rung_and_names_nobody(page: Path) -> None:
    content = held(page)
    assert [space["name"] for space in content["spaces"]] == [
        rung.name for rung in picture_book.LADDER
    ]
    text = page.read_text(encoding="utf-8")
    speakers = {row.speaker for row in read_manifest(SPEECH) if row.corpus == picture_book.PHRASED}
    assert not [name for name in speakers if f'"{name}"' in text]
    assert page.stat().st_size < 10_000_000


@pytest.mark.slow
def test_the_page_holds_drawn_schools_against_its_people(page: Path) -> None:
    drawn = held(page)["drawn"]
    names = ["real", *synthetic.MODELS]
    assert list(drawn["pairs"]) == names and list(drawn["growth"]) == names
    for shares in drawn["pairs"].values():
        assert len(shares) == len(drawn["bins"]) - 1 and 90 < sum(shares) < 101
    assert list(drawn["growth"]["real"]) == [str(drawn["people"])]  # too few for parts of them
    assert all(len(step) == picture_book.SHOWN for step in drawn["way"])


@pytest.mark.slow
def test_the_page_asks_nobody_for_anything(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "http://" not in text and "https://" not in text and "src=" not in text


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs a browser: apt-get install chromium")
@pytest.mark.parametrize(
    ("language", "said"), [("zh", "最近邻是同一个人"), ("en", "nearest neighbour")]
)
def test_a_browser_draws_it_in_both_languages(
    page: Path, language: str, said: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [str(BROWSER), *ALONE, f"--user-data-dir={tmp_path}", f"file://{page}#{language}"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    drawn = done.stdout
    assert f'lang="{language}"' in drawn
    content = held(page)
    assert len(re.findall(r'data-point="\d', drawn)) == len(content["voices"]["take"])
    assert len(re.findall(r'<tr data-rung="\d', drawn)) == len(content["spaces"])
    assert len(re.findall(r'data-model="\w', drawn)) == len(synthetic.MODELS)
    told = drawn[drawn.index('id="told"') :]
    assert said in told[: told.index("</p>")]
