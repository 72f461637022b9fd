"""A whole gate whose scores drift: the drift is in its log, of simulated openings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kaimen.audit import Audit
from kaimen.calibration.calibration import Calibration
from kaimen.cli.main import main
from kaimen.registry.vault import Vault
from kaimen.rehearsal import RECORDINGS
from tests.doctor.test_drift import lines

pytestmark = pytest.mark.slow


def test_a_gate_whose_scores_drift_opens_for_no_voice_until_that_is_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "kaimen.toml"
    settings = (
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n'
        "[door]\nmock = true\n[checks]\nreplay = false\nloudspeaker = false\n"
    )
    config.write_text(settings, encoding="utf-8")
    takes = sorted(map(str, (RECORDINGS / "anning").glob("phrase-[1-3].mp3")))
    assert main(["enroll", "--student", "anning", *takes, "--config", str(config)]) == 0
    vault = Vault.load(tmp_path / "key")
    learned = Calibration.load(tmp_path / "gallery.calibration.json", vault)
    with Audit(tmp_path / "audit", vault.derive("audit")) as log:
        for line in lines(learned, above=30):
            log.write(line)

    def verdicts() -> list[str]:
        capsys.readouterr()
        play = str(RECORDINGS / "anning" / "phrase-4.mp3")
        assert main(["run", "--play", play, "--config", str(config), "--json"]) == 0
        said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [each["verdict"] for each in said if "verdict" in each]

    assert verdicts() == ["open"]
    config.write_text(settings + "[gate]\nstop_on_drift = true\n", encoding="utf-8")
    assert verdicts() == ["refused"]
    assert main(["calibrate", "--drift-mended", "--config", str(config)]) == 0
    assert verdicts() == ["open"]
