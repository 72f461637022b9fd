"""What the workshop loads, and when."""

import subprocess
import sys

import pytest

WITHOUT_TRAINING = (
    "data.utterances",
    "data.surroundings",
    "data.conditions",
    "data.batches",
    "phrase.batches",
    "loudspeaker.replays",
    "school.school",
)


@pytest.mark.slow
def test_tensorflow_is_left_to_those_who_train() -> None:
    """A clip is drawn without the seconds that TensorFlow takes to load."""
    named = ", ".join(f"kaimen_train.{module}" for module in WITHOUT_TRAINING)
    code = f"import sys, {named}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_the_help_of_every_command_is_read_without_tensorflow() -> None:
    code = (
        "import sys; from kaimen_train.cli import main; "
        "[main.parser(name).format_help() for name in (None, *main.COMMANDS)]; "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_help_loads_no_command() -> None:
    code = (
        "import sys; from kaimen_train.cli import main; main.parser('--help').format_help(); "
        "sys.exit(any(f'kaimen_train.cli.{name}' in sys.modules for name in main.COMMANDS))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
