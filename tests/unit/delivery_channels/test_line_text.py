"""Text as LINE counts it."""

from hypothesis import example, given
from hypothesis import strategies as st

from app.delivery.channels.line import shorten, text_message, utf16_length


def test_characters_outside_the_basic_plane_count_two() -> None:
    assert [utf16_length(text) for text in ("", "a", "児", "🍎", "𠮷", "か\u3099")] == [0, 1, 1, 2, 2, 2]


@given(st.text(st.sampled_from("児童🍎𠮷a"), max_size=60), st.integers(min_value=1, max_value=50))
@example("🍎🍎", 3)
@example("🍎🍎", 2)
@example("aa", 1)
def test_a_shortened_text_fits_and_cuts_no_character(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert utf16_length(short) <= limit
    short.encode("utf-8")
    if utf16_length(text) <= limit:
        assert short == text
    else:
        assert short.endswith("…")
        assert text.startswith(short[:-1])
        assert utf16_length(short) >= limit - 1


def test_a_text_message_always_fits() -> None:
    assert utf16_length(str(text_message("あ" * 6000)["text"])) == 5000
