"""A card's bits, against numbers that readers are known to send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.bridge.card_format import packed, read_of
from kaimen.errors import SettingsError


@pytest.mark.parametrize(
    ("facility", "number", "bits", "text"),
    [
        (0, 0, 26, "00000000000000000000000001"),
        (255, 65535, 26, "01111111111111111111111111"),
        (1, 1, 26, "10000000100000000000000010"),
        (123, 4567, 26, "10111101100010001110101110"),
        (0, 0, 34, "0000000000000000000000000000000001"),
        (1, 2, 34, "1000000000000000100000000000000100"),
    ],
)
def test_a_read_is_exactly_these_bits(facility: int, number: int, bits: int, text: str) -> None:
    assert "".join(map(str, read_of(number, facility=facility, bits=bits))) == text


@given(st.sampled_from([26, 34]), st.integers(0, 255), st.integers(0, 65535))
def test_each_half_has_its_parity_and_the_number_can_be_read_again(
    bits: int, facility: int, number: int
) -> None:
    read = read_of(number, facility=facility, bits=bits)
    half = bits // 2
    assert len(read) == bits
    assert sum(read[:half]) % 2 == 0 and sum(read[half:]) % 2 == 1
    value = int("".join(map(str, read[1:-1])), 2)
    assert (value >> 16, value & 0xFFFF) == (facility, number)
    assert len(packed(read)) == (bits + 7) // 8
    assert int.from_bytes(packed(read), "big") >> (-bits % 8) == int("".join(map(str, read)), 2)


@pytest.mark.parametrize(
    ("facility", "number", "bits"), [(256, 0, 26), (0, 65536, 26), (0, 65536, 34), (65536, 0, 34)]
)
def test_what_does_not_fit_is_refused(facility: int, number: int, bits: int) -> None:
    with pytest.raises(SettingsError, match="does not fit"):
        read_of(number, facility=facility, bits=bits)
