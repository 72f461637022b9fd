"""Read settings: what an operator wrote, what stays as it is, and what is refused."""

from pathlib import Path
from tempfile import TemporaryDirectory

import kaimen

with TemporaryDirectory() as temporary:
    file = Path(temporary, "kaimen.toml")
    file.write_text("[door]\npin = 22\nlease = 5\n", encoding="utf-8")
    door = kaimen.Settings.read(file).door
    print(f"The relay is on pin {door.pin}, for {door.lease:g} s; mock pins: {door.mock}")

for written in ("[door]\nlese = 5\n", "[door]\nlease = 600\n"):
    try:
        kaimen.Settings.parse(written, "kaimen.toml")
    except kaimen.KaimenError as error:
        print(f"Refused, exit code {error.exit_code}: {error}")
