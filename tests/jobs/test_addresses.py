from jobs.addresses import number_in, numbers_in


def test_only_what_can_be_a_key_is_a_number():
    assert [number_in(text) for text in ("7", "", "x", "-1", "1.5", "9" * 9, "9" * 10, "9" * 5000)] == [
        7, None, None, None, None, 999_999_999, None, None,
    ]  # fmt: skip
    assert numbers_in(f"1, 2,,x,{'9' * 5000},3") == [1, 2, 3]
