"""What students are like beyond their covariance: small networks, here only run, in numpy.

People come in groups (sex, age, accent), and a normal distribution knows none. A population
turns numbers of unit variance into a student's direction; a shape draws the first of these
numbers, those of the widest directions, as real people have them.
``kaimen_train.autoencoder.generate`` trains it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
# Kernels (inputs, outputs) and biases of a network's layers; the last is no layer of it, but
# what brings the drawn numbers to the covariance they must have.
Layers = Sequence[tuple[Points, Points]]

FREQUENCIES = np.array([0.25, 0.5, 1, 2], np.float32)  # of the noise's logarithm
NOISIEST, QUIETEST = 10.0, 0.03  # where the way from noise to numbers begins and ends
STEPS = 18
BEND = 5  # more of the steps where it is quiet


def forward(layers: Layers, values: Points) -> Points:
    """Return a network with swish between its layers: values (n, inputs) to (n, outputs)."""
    *hidden, (kernel, bias) = layers
    for each, shift in hidden:
        values = values @ each + shift
        values = values / (1 + np.exp(-values))
    return values @ kernel + bias


def seen_by_denoiser(noisy: Points, noise: Points, given: Points | None) -> Points:
    """The denoiser's input: numbers (n, k) under noise (n, 1), and those (n, k) of a recording."""
    level = np.log(noise) * FREQUENCIES
    known = () if given is None else (given,)
    return np.concatenate((noisy / np.sqrt(1 + noise**2), np.sin(level), np.cos(level), *known), 1)


def diffusion(
    layers: Layers, students: int, random: np.random.Generator, given: Points | None = None
) -> Points:
    """Return numbers (students, k) of nobody known, or what recordings (students, k) leave open."""
    *_, drawn = diffusing(layers, students, random, given)
    return drawn


def diffusing(
    layers: Layers, students: int, random: np.random.Generator, given: Points | None = None
) -> Iterator[Points]:
    """Yield the way there from noise, (students, k) a step; the last are the numbers.

    Second-order steps (Heun) along the probability flow, noise levels and preconditioning as
    in Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", 2022;
    a network that says nothing would leave normal numbers.
    """
    *denoiser, (kernel, bias) = layers

    def slope(noisy: Points, noise: float) -> Points:
        noises = np.full((students, 1), noise, np.float32)
        said = forward(denoiser, seen_by_denoiser(noisy, noises, given))
        clean = noisy / (1 + noise**2) + noise / np.sqrt(1 + noise**2) * said
        found: Points = ((noisy - clean) / noise).astype(np.float32)
        return found

    ends = NOISIEST ** (1 / BEND), QUIETEST ** (1 / BEND)
    levels = np.append(np.linspace(*ends, STEPS) ** BEND, 0).tolist()
    start = random.standard_normal((students, len(kernel)), np.float32)
    numbers = (start * np.sqrt(1 + NOISIEST**2)).astype(np.float32)
    yield numbers
    for noise, less in pairwise(levels):
        first = slope(numbers, noise)
        there = numbers + np.float32(less - noise) * first
        if less:
            first = (first + slope(there, less)) / 2
            there = numbers + np.float32(less - noise) * first
        numbers = there if less else (there + bias) @ kernel
        yield numbers


def gan(layers: Layers, students: int, random: np.random.Generator) -> Points:
    """Return numbers (students, k): normal ones, and what the generator adds to them."""
    *generator, (kernel, bias) = layers
    start = random.standard_normal((students, len(kernel)), np.float32)
    return (start + forward(generator, start) + bias) @ kernel


SHAPES: dict[str, Callable[[Layers, int, np.random.Generator], Points]] = {
    "diffusion": diffusion,
    "gan": gan,
}
