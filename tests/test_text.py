from clipact._text import aligned


def test_columns_line_up():
    assert aligned(["name", "n"], [["a", "10"], ["longer", "7"]]).splitlines() == [
        "name     n",
        "----------",
        "a       10",
        "longer   7",
    ]


def test_a_header_alone():
    assert aligned(["a", "b"], []).splitlines() == ["a  b", "----"]
