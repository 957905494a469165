"""Check digits catch what they are made to catch."""

from hypothesis import assume, given
from hypothesis import strategies as st

from mangaassist.domain.product_ids import is_asin, is_isbn10, isbn10_check_digit

nine_digits = st.text("0123456789", min_size=9, max_size=9)
positions = st.integers(0, 8)


@given(nine_digits)
def test_exactly_one_check_character_is_right(first_nine: str) -> None:
    assert [digit for digit in "0123456789X" if is_isbn10(first_nine + digit)] == [
        isbn10_check_digit(first_nine)
    ]


@given(nine_digits, positions, st.sampled_from("0123456789"))
def test_a_single_wrong_digit_is_caught(first_nine: str, position: int, digit: str) -> None:
    assume(first_nine[position] != digit)
    isbn = first_nine + isbn10_check_digit(first_nine)
    assert not is_isbn10(isbn[:position] + digit + isbn[position + 1 :])


@given(nine_digits, st.integers(0, 7))
def test_swapped_neighbours_are_caught(first_nine: str, position: int) -> None:
    assume(first_nine[position] != first_nine[position + 1])
    isbn = first_nine + isbn10_check_digit(first_nine)
    swapped = isbn[:position] + isbn[position + 1] + isbn[position] + isbn[position + 2 :]
    assert not is_isbn10(swapped)


@given(st.text(max_size=12))
def test_no_text_is_both_or_raises(text: str) -> None:
    assert not (is_isbn10(text) and is_asin(text))
