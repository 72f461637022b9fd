"""Plot two voices: each recording is a point, seen from where the points spread most."""

from pathlib import Path
from tempfile import gettempdir

import matplotlib
import numpy as np

import kaimen

matplotlib.use("Agg")
from matplotlib import pyplot

CLASS = Path(kaimen.__file__).parent / "rehearsal" / "voices" / "zhongguo-shanghai"
encoder = kaimen.Encoder()

files = sorted(CLASS.glob("s0[12]/phrase-*.mp3"))
points = np.stack([encoder.embed(kaimen.main_phrase(kaimen.read(file)).samples) for file in files])
centred = points - points.mean(axis=0)
plane = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T  # principal components

figure, axes = pyplot.subplots()
for student in ("s01", "s02"):
    own = [file.parent.name == student for file in files]
    axes.scatter(*plane[own].T, label=student)
    others = points[own] @ points[np.invert(own)].T
    print(f"{student}: {sum(own)} recordings, {others.mean():.1f} like the other voice")
axes.legend()
figure.savefig(Path(gettempdir(), "two-voices.png"))
print("Drawn in", Path(gettempdir(), "two-voices.png"))
