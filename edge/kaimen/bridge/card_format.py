"""A card's number in the bits that readers send: facility, number, and a parity at each end.

26 bits are HID's H10301: even parity over the facility's 8 bits and the number's first 4, odd
parity over its last 12. 34 bits have 16 for each, and a parity over each half.
"""

from __future__ import annotations

from kaimen.errors import SettingsError

Bits = tuple[int, ...]

FACILITY_BITS = {26: 8, 34: 16}  # by the bits of a read
NUMBER_BITS = 16


def read_of(number: int, *, facility: int, bits: int) -> Bits:
    """Return the bits of a read, the first sent first. Raises SettingsError for too large ones."""
    width = FACILITY_BITS[bits]
    if not 0 <= number < 1 << NUMBER_BITS:
        raise SettingsError(
            f"card {number} does not fit {bits} bits; its number must be at most 65535"
        )
    if not 0 <= facility < 1 << width:
        raise SettingsError(f"facility {facility} does not fit {bits} bits")
    data = _bits(facility, width) + _bits(number, NUMBER_BITS)
    half = len(data) // 2
    return (sum(data[:half]) % 2, *data, 1 - sum(data[half:]) % 2)


def packed(read: Bits) -> bytes:
    """Return the same in bytes, the first bit highest, filled up with zeros."""
    filled = read + (0,) * (-len(read) % 8)
    return bytes(int("".join(map(str, filled[at : at + 8])), 2) for at in range(0, len(filled), 8))


def _bits(value: int, width: int) -> Bits:
    return tuple(value >> place & 1 for place in reversed(range(width)))
