"""ISBN-10 and ASIN forms."""

import pytest

from mangaassist.domain.product_ids import is_asin, is_isbn10, isbn10_check_digit


@pytest.mark.parametrize(
    "isbn",
    [
        "0306406152",  # the worked example of the International ISBN Agency's manual
        "080442957X",  # the worked example with check digit X of Wikipedia, "ISBN"
    ],
)
def test_published_examples_are_valid(isbn: str) -> None:
    assert is_isbn10(isbn)
    assert isbn10_check_digit(isbn[:9]) == isbn[9]


@pytest.mark.parametrize(
    "text", ["0306406153", "080442957x", "0-306-40615-2", "030640615", "X306406152", "", "٠306406152"]
)
def test_other_texts_are_no_isbn10(text: str) -> None:
    assert not is_isbn10(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B0JP3F9ZQ1", True),
        ("B01N5IB20Q", True),
        ("b0jp3f9zq1", False),
        ("B1JP3F9ZQ1", False),
        ("B0JP3F9", False),
    ],
)
def test_asin_is_b0_and_eight_capitals_or_digits(text: str, expected: bool) -> None:
    assert is_asin(text) is expected
